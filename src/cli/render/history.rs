//! The jobs of the past.

use super::{cells, table, when};
use crate::deployer::Told;
use crate::fleet::words;
use crate::protocol::{ErrorCode, HistoryEntry, Name, Status, printable};
use comfy_table::{Cell, Color};
use jiff::tz::TimeZone;

/// How many characters of a key are shown.
const SHORT_KEY: usize = 8;

/// The table of all jobs, those of each host together; `None` where there are none.
pub(in crate::cli) fn history(
    hosts: &[(Name, Told<Vec<HistoryEntry>>)],
    zone: &TimeZone,
    colours: bool,
) -> Option<String> {
    let entries = hosts.iter().filter_map(|(host, told)| match told {
        Told::Answer(entries) => Some(entries.iter().map(move |entry| (host, entry))),
        _ => None,
    });
    let entries: Vec<_> = entries.flatten().collect();
    let mut rows: Vec<_> = entries.iter().map(|(host, entry)| row(host, entry, zone)).collect();
    let mut head = vec!["HOST", "WHEN", "RESULT", "ACTION", "REVISION", "GEN", "TIME", "BY", ""];
    // Only where a host looks at who has signed.
    if entries.iter().any(|(_, entry)| entry.key.is_some()) {
        let at = head.len() - 1;
        head.insert(at, "KEY");
        for (row, (_, entry)) in rows.iter_mut().zip(&entries) {
            row.insert(at, Cell::new(entry.key.as_deref().map(short_key).unwrap_or_default()));
        }
    }
    (!rows.is_empty()).then(|| table(&head, rows, colours))
}

/// As much of a key as tells it from others.
fn short_key(key: &str) -> String {
    let key = printable(key);
    match key.char_indices().nth(SHORT_KEY) {
        Some((end, _)) => format!("{}…", &key[..end]),
        None => key,
    }
}

fn row(host: &Name, entry: &HistoryEntry, zone: &TimeZone) -> Vec<Cell> {
    let result = [Some(entry.status.as_str()), entry.error.as_ref().map(ErrorCode::as_str)];
    let result: Vec<_> = result.into_iter().flatten().map(printable).collect();
    let mut row = cells([
        host.to_string(),
        when(entry.at, zone),
        String::new(),
        printable(entry.action.as_str()),
        words::deployed(entry),
        entry.generation.map(|generation| generation.to_string()).unwrap_or_default(),
        words::duration(entry.elapsed_ms),
        entry.issuer.as_deref().map(printable).unwrap_or_default(),
        entry.reason.as_deref().map(printable).unwrap_or_default(),
    ]);
    row[2] = Cell::new(result.join(": ")).fg(match entry.status {
        Status::Completed => Color::Green,
        _ => Color::Red,
    });
    row
}
