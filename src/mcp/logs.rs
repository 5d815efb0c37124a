//! The tool `host_logs`: returns a part of a job's log.

use super::client::FleetClient;
use super::parameters::{LogsParameters, in_range, read as arguments_of};
use super::query_tools::{find_host, job_of};
use super::result::{ToolError, tool_result};
use super::tools::HOST_LOGS;
use super::views::LogView;
use crate::client::{LogEvent, LogFollower, LogStart};
use crate::nats::NatsError;
use crate::protocol::{Id, Name};
use crate::text::printable_lines;
use rmcp::model::{CallToolResponse, JsonObject};
use std::time::Duration;
use tokio::time::sleep;

/// Maximum size of the returned text, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Number of lines if the call sets none.
const DEFAULT_LINES: usize = 100;
/// Maximum amount of log data that is read, in bytes and in pieces, so that a host cannot send data without end.
const MAX_READ: usize = 1 << 20;
const MAX_PIECES: usize = 32;
/// Maximum duration of reading.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Whole lines of a log.
#[derive(Debug, Default)]
struct LogSlice {
    offset: u64,
    text: String,
    /// Whether more text may follow.
    more: bool,
}

pub(super) async fn host_logs(
    client: &FleetClient,
    arguments: Option<JsonObject>,
) -> Result<CallToolResponse, ToolError> {
    let parameters: LogsParameters = arguments_of(HOST_LOGS, arguments)?;
    let lines = parameters.lines.unwrap_or(DEFAULT_LINES);
    in_range("lines", lines as u64, 1, 1000)?;
    let (operator, discovery) = client.discover(None).await?;
    let host = find_host(&parameters.hostname, &discovery)?.name.clone();
    let id = match parameters.deployment {
        Some(id) => id,
        None => {
            let job = job_of(&host, None, &operator, &discovery).await?;
            let id = job.and_then(|job| job.id.clone());
            id.ok_or_else(|| ToolError::new(format!("no job has run on {host} yet, so there is no log")))?
        }
    };
    let start = parameters.offset.map_or(LogStart::Last(MAX_TEXT as u64), LogStart::From);
    let mut connection = operator.nats.connection_state();
    let log = LogFollower::open(operator.nats, &operator.known, host.clone(), id.clone(), start).await?;
    let log = log.until_now();
    let mut slice = LogSlice { offset: parameters.offset.unwrap_or_default(), ..LogSlice::default() };
    tokio::select! {
        end = read(log, &host, &id, parameters.offset, lines, &mut slice) => end?,
        () = sleep(MAX_TIME) => slice.more = true,
        Ok(lost) = connection.wait_for(|connection| !connection.up) => {
            return Err(NatsError::Disconnected { reason: lost.reason.clone() }.into());
        }
    }
    if parameters.offset.is_none() {
        keep_last_lines(&mut slice, lines);
    }
    let view = LogView {
        hostname: host.to_string(),
        deployment: id.to_string(),
        offset: slice.offset,
        next_offset: slice.offset + slice.text.len() as u64,
        more: slice.more,
        text: printable_lines(&slice.text),
    };
    let text = if view.text.is_empty() {
        format!("the log of {id} on {host} has no text from byte {} on", view.offset)
    } else {
        view.text.clone()
    };
    Ok(tool_result(text, &view, false))
}

/// Reads `lines` lines from `offset`, or the last ones without an offset.
async fn read(
    mut log: LogFollower,
    host: &Name,
    id: &Id,
    offset: Option<u64>,
    lines: usize,
    slice: &mut LogSlice,
) -> Result<(), ToolError> {
    let (mut bytes, mut pieces) = (0, 0);
    while let Some(event) = log.next().await.transpose()? {
        match event {
            LogEvent::Text { offset, text } => {
                if slice.text.is_empty() {
                    slice.offset = offset;
                }
                slice.text.push_str(&text);
                bytes += text.len();
                pieces += 1;
            }
            LogEvent::Missing => {
                return Err(ToolError::new(format!(
                    "{host} has no log of deployment {id}; host_history lists its jobs"
                )));
            }
            LogEvent::NoAnswer => {
                return Err(ToolError::new(format!(
                    "{host} does not reply; its log is available once it does"
                )));
            }
            LogEvent::Recovered | LogEvent::End => {}
        }
        if offset.is_some() && truncate_after(slice, lines) {
            return Ok(());
        }
        if offset.is_none() {
            truncate_start(slice);
        }
        if bytes >= MAX_READ || pieces >= MAX_PIECES {
            slice.more = true;
            return Ok(());
        }
    }
    Ok(())
}

/// Drops the start of a text that exceeds the maximum size.
fn truncate_start(slice: &mut LogSlice) {
    if slice.text.len() <= MAX_TEXT {
        return;
    }
    let excess = slice.text.ceil_char_boundary(slice.text.len() - MAX_TEXT);
    // Starts at a whole line, unless the text is a single line.
    let line = slice.text[excess..].find('\n').map_or(excess, |end| excess + end + 1);
    let excess = if line < slice.text.len() { line } else { excess };
    slice.text.drain(..excess);
    slice.offset += excess as u64;
}

/// Drops the text after `lines` lines. Returns whether the slice is complete.
fn truncate_after(slice: &mut LogSlice, lines: usize) -> bool {
    let end = slice.text.match_indices('\n').nth(lines - 1).map(|(at, _)| at + 1);
    let end = end
        .filter(|end| *end <= MAX_TEXT)
        .or_else(|| (slice.text.len() > MAX_TEXT).then(|| last_line_end(&slice.text)));
    let Some(end) = end else { return false };
    slice.text.truncate(end);
    // It is unknown whether more text follows; the next call finds out.
    slice.more = true;
    true
}

/// The end of the last whole line within the maximum size. A longer line is split.
fn last_line_end(text: &str) -> usize {
    let most = text.floor_char_boundary(MAX_TEXT);
    text[..most].rfind('\n').map_or(most, |at| at + 1)
}

/// Keeps the last `lines` lines.
fn keep_last_lines(slice: &mut LogSlice, lines: usize) {
    let body = slice.text.strip_suffix('\n').unwrap_or(&slice.text);
    if let Some((at, _)) = body.rmatch_indices('\n').nth(lines - 1) {
        slice.text.drain(..=at);
        slice.offset += at as u64 + 1;
    }
}
