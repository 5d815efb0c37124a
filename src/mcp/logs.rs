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
use crate::protocol::{Id, Name, printable_lines};
use rmcp::model::{CallToolResponse, JsonObject};
use std::time::Duration;
use tokio::time::sleep;

/// The most of a log that is told at once, in bytes.
const MOST: usize = 64 * 1024;
/// How many lines are given if the call does not say.
const SOME_LINES: usize = 100;
/// How much of a log is read for that, in bytes and in pieces: a host that sends more without end gets no further.
const MAX_READ: usize = 1 << 20;
const MAX_PIECES: usize = 32;
/// How long that may take.
const MAX_TIME: Duration = Duration::from_secs(20);

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
    let lines = parameters.lines.unwrap_or(SOME_LINES);
    in_range("lines", lines as u64, 1, 1000)?;
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
    let log = LogFollow::open(operator.bus, &operator.known, host.clone(), id.clone(), start).await?;
    let log = log.until_now();
    let mut piece = Piece { offset: parameters.offset.unwrap_or_default(), ..Piece::default() };
    tokio::select! {
        end = read(log, &host, &id, parameters.offset, lines, &mut piece) => end?,
        () = sleep(MAX_TIME) => piece.more = true,
        Ok(lost) = link.wait_for(|link| !link.up) => {
            return Err(LinkError::Down { reason: lost.reason.clone() }.into());
        }
    }
    if parameters.offset.is_none() {
        cut_before(&mut piece, lines);
    }
    let view = LogView {
        hostname: host.to_string(),
        deployment: id.to_string(),
        offset: piece.offset,
        next_offset: piece.offset + piece.text.len() as u64,
        more: piece.more,
        text: printable_lines(&piece.text),
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
    piece: &mut Piece,
) -> Result<(), ToolError> {
    let (mut bytes, mut pieces) = (0, 0);
    while let Some(news) = log.next().await.transpose()? {
        match news {
            LogNews::Text { offset, text } => {
                if piece.text.is_empty() {
                    piece.offset = offset;
                }
                piece.text.push_str(&text);
                bytes += text.len();
                pieces += 1;
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
        if offset.is_some() && cut_behind(piece, lines) {
            return Ok(());
        }
        if offset.is_none() {
            keep_end(piece);
        }
        if bytes >= MAX_READ || pieces >= MAX_PIECES {
            piece.more = true;
            return Ok(());
        }
    }
    Ok(())
}

/// Drops the beginning of what is more than may be told.
fn keep_end(piece: &mut Piece) {
    if piece.text.len() <= MOST {
        return;
    }
    let excess = piece.text.ceil_char_boundary(piece.text.len() - MOST);
    // From a whole line on, unless it is all one line.
    let line = piece.text[excess..].find('\n').map_or(excess, |end| excess + end + 1);
    let excess = if line < piece.text.len() { line } else { excess };
    piece.text.drain(..excess);
    piece.offset += excess as u64;
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
