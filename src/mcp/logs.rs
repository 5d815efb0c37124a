//! `host_logs`: a piece of the log of one job.

use super::access::Access;
use super::answer::answer;
use super::error::ToolError;
use super::parameters::{LogsParameters, in_range, read as arguments_of};
use super::questions::{job_of, known};
use super::tools::HOST_LOGS;
use super::views::LogView;
use crate::bus::LinkError;
use crate::deployer::{LogFollow, LogNews, LogStart};
use crate::protocol::{Id, Name, printable};
use rmcp::model::{CallToolResponse, JsonObject};

/// The most of a log that is told at once, in bytes.
const MOST: usize = 64 * 1024;

/// Whole lines of a log, as much as was wanted.
#[derive(Debug, Default)]
struct Piece {
    offset: u64,
    text: String,
    /// Whether there is more behind it.
    more: bool,
}

pub(super) async fn host_logs(
    access: &Access,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: LogsParameters = arguments_of(HOST_LOGS, arguments)?;
    in_range("lines", parameters.lines as u64, 1, 1000)?;
    let (operator, discovery) = access.discover(None).await?;
    let host = known(&parameters.hostname, &discovery)?.name.clone();
    let id = match parameters.deployment {
        Some(id) => id,
        None => {
            let job = job_of(&host, None, &operator, &discovery).await?;
            let id = job.and_then(|job| job.id.clone());
            id.ok_or_else(|| ToolError::new(format!("no job has run on {host} yet, so there is no log")))?
        }
    };
    let start = parameters.offset.map_or(LogStart::Last(MOST as u64), LogStart::From);
    let mut link = operator.bus.link();
    let log = LogFollow::open(operator.bus, host.clone(), id.clone(), start).await?.until_now();
    let piece = tokio::select! {
        piece = read(log, &host, &id, parameters.offset, parameters.lines) => piece?,
        Ok(lost) = link.wait_for(|link| !link.up) => {
            return Err(LinkError::Down { reason: lost.reason.clone() }.into());
        }
    };
    let view = LogView {
        hostname: host.to_string(),
        deployment: id.to_string(),
        offset: piece.offset,
        next_offset: piece.offset + piece.text.len() as u64,
        more: piece.more,
        text: harmless(&piece.text),
    };
    let text = if view.text.is_empty() {
        format!("the log of {id} on {host} holds nothing from byte {} on", view.offset)
    } else {
        view.text.clone()
    };
    Ok(answer(text, &view, false))
}

/// Reads from `offset` on as many lines as are wanted, or without it the last so many.
async fn read(
    mut log: LogFollow,
    host: &Name,
    id: &Id,
    offset: Option<u64>,
    lines: usize,
) -> Result<Piece, ToolError> {
    let mut piece = Piece { offset: offset.unwrap_or_default(), ..Piece::default() };
    while let Some(news) = log.next().await.transpose()? {
        match news {
            LogNews::Text { offset, text } => {
                if piece.text.is_empty() {
                    piece.offset = offset;
                }
                piece.text.push_str(&text);
            }
            LogNews::Missing => {
                return Err(ToolError::new(format!(
                    "{host} keeps no log of deployment {id}; host_history lists what it did"
                )));
            }
            LogNews::Silent => {
                return Err(ToolError::new(format!(
                    "{host} does not answer; its log can be read once it does"
                )));
            }
            LogNews::Back | LogNews::End => {}
        }
        if offset.is_some() && cut_behind(&mut piece, lines) {
            return Ok(piece);
        }
    }
    if offset.is_none() {
        cut_before(&mut piece, lines);
    }
    Ok(piece)
}

/// Drops what lies behind so many lines; tells whether that is all that was wanted.
fn cut_behind(piece: &mut Piece, lines: usize) -> bool {
    let end = piece.text.match_indices('\n').nth(lines - 1).map(|(at, _)| at + 1);
    let end =
        end.filter(|end| *end <= MOST).or_else(|| (piece.text.len() > MOST).then(|| whole(&piece.text)));
    let Some(end) = end else { return false };
    piece.text.truncate(end);
    // What comes next is not known to be anything; whoever asks finds out.
    piece.more = true;
    true
}

/// Where the last whole line ends within what may be told; a line that is longer is broken.
fn whole(text: &str) -> usize {
    let most = text.floor_char_boundary(MOST);
    text[..most].rfind('\n').map_or(most, |at| at + 1)
}

/// Keeps the last so many lines.
fn cut_before(piece: &mut Piece, lines: usize) {
    let body = piece.text.strip_suffix('\n').unwrap_or(&piece.text);
    if let Some((at, _)) = body.rmatch_indices('\n').nth(lines - 1) {
        piece.text.drain(..=at);
        piece.offset += at as u64 + 1;
    }
}

/// The lines without anything that a terminal or a model could take for more than text.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out.push_str(&printable(line.strip_suffix('\n').unwrap_or(line)));
        if line.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
