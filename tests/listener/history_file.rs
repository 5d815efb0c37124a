//! The history file through its public interface: rotation, truncated lines, foreign lines.

use homelab_deploy::jobs::{History, HistoryPage};
use homelab_deploy::protocol::{Action, HistoryEntry, Id, Phases, Status};
use jiff::Timestamp;
use std::collections::HashSet;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const TEN_MIB: usize = 10 << 20;

fn id(n: usize) -> Id {
    Id::new(format!("h-{n}")).unwrap()
}

fn entry(n: usize) -> HistoryEntry {
    HistoryEntry {
        id: id(n),
        at: Timestamp::UNIX_EPOCH,
        action: Action::Switch,
        status: Status::Completed,
        error: None,
        issuer: Some("alice".repeat(100)),
        key: None,
        revision: Some("master".to_owned()),
        commit: None,
        generation: None,
        reason: None,
        elapsed_ms: 1000,
        phases: Phases::default(),
        components: Vec::new(),
    }
}

fn line(n: usize) -> String {
    serde_json::to_string(&entry(n)).unwrap() + "\n"
}

/// Writes as many lines from number `first` as fit into `bytes`, and returns the number after the last one.
fn fill(file: &Path, first: usize, bytes: usize) -> usize {
    let mut text = String::new();
    let mut n = first;
    while text.len() + line(n).len() <= bytes {
        text.push_str(&line(n));
        n += 1;
    }
    fs::write(file, text).unwrap();
    n
}

/// The numbers of all readable entries, read page by page.
fn all(history: &History) -> Vec<usize> {
    let mut numbers_read = Vec::new();
    let mut page = history.page(None, 100_000).unwrap();
    loop {
        numbers_read
            .extend(page.entries.iter().map(|entry| entry.id.as_str()[2..].parse::<usize>().unwrap()));
        assert!(
            serde_json::to_vec(&page.entries).unwrap().len() < 64 * 1024,
            "the page is too large for a message"
        );
        match &page.next {
            None => return numbers_read,
            Some(next) => page = history.page(Some(next), 100_000).unwrap(),
        }
    }
}

fn numbers(page: &HistoryPage) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.id.as_str()).collect()
}

#[test]
fn the_file_is_rotated_at_ten_mebibytes_and_one_older_file_is_read() {
    let dir = TempDir::new().unwrap();
    let [file, older] = ["history.jsonl", "history.1.jsonl"].map(|name| dir.path().join(name));
    let history = History::new(dir.path());
    let next = fill(&file, 0, TEN_MIB - line(100_000).len());
    history.append(&[entry(next)]).unwrap();
    assert!(!older.exists(), "the file was rotated although one more entry fits");
    let length = fs::metadata(&file).unwrap().len();
    history.append(&[entry(next + 1), entry(next + 2)]).unwrap();
    assert_eq!(fs::metadata(&older).unwrap().len(), length);
    assert_eq!(fs::read_to_string(&file).unwrap(), line(next + 1) + &line(next + 2));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // Read across both files, once within a page and once from one page to the next.
    let across = history.page(None, 3).unwrap();
    assert_eq!(numbers(&across), [id(next + 2), id(next + 1), id(next)].each_ref().map(Id::as_str));
    let within = history.page(Some(&id(next + 1)), 2).unwrap();
    assert_eq!(numbers(&within), [id(next), id(next - 1)].each_ref().map(Id::as_str));
    assert_eq!(history.page(Some(&id(0)), 9).unwrap(), HistoryPage::default());
    assert_eq!(numbers(&history.page(Some(&id(1)), 9).unwrap()), ["h-0"]);
    let missing = history.missing([id(0), id(next), id(next + 2), id(next + 3)].into()).unwrap();
    assert_eq!(missing, HashSet::from([id(next + 3)]));

    // The next rotation removes the older file.
    let last = fill(&file, next + 3, TEN_MIB);
    history.append(&[entry(last)]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), line(last));
    assert_eq!(history.missing([id(0), id(next + 3)].into()).unwrap(), HashSet::from([id(0)]));
}

#[test]
fn every_line_is_read_regardless_of_chunk_boundaries() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("history.jsonl");
    let history = History::new(dir.path());
    for shift in (0..line(1000).len()).step_by(41) {
        let next = fill(&file, 1000, 140_000 + shift);
        assert_eq!(all(&history), (1000..next).rev().collect::<Vec<_>>(), "{shift}");
    }
}

#[test]
fn foreign_lines_are_skipped() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("history.jsonl");
    let history = History::new(dir.path());
    let endless = "x".repeat(1 << 20);
    for junk in [
        "",
        "\n",
        "{",
        "\u{0}\u{0}\u{0}",
        "[]",
        "{}",
        r#"{"id":"h-7"}"#,
        &line(7)[..line(7).len() - 2],
        &line(7)[9..],
        &endless,
        &format!("{endless}\n{endless}"),
    ] {
        let text = format!("{}{}{junk}\n{}{junk}", line(1), line(2), line(3));
        fs::write(&file, &text).unwrap();
        assert_eq!(all(&history), [3, 2, 1], "{:?}", &junk[..junk.len().min(20)]);
        history.append(&[entry(4)]).unwrap();
        assert_eq!(all(&history), [4, 3, 2, 1], "{:?}", &junk[..junk.len().min(20)]);
        assert!(fs::read_to_string(&file).unwrap().starts_with(&text), "existing content was changed");
    }
    fs::write(&file, format!("{junk}{}", line(1), junk = "\n\n")).unwrap();
    assert_eq!(all(&history), [1]);
    fs::write(&file, format!("{endless}{}", line(1))).unwrap();
    assert_eq!(all(&history), [] as [usize; 0]);
}

#[test]
fn fields_of_a_newer_version_are_harmless() {
    let dir = TempDir::new().unwrap();
    let history = History::new(dir.path());
    let mut text = String::new();
    writeln!(
        text,
        r#"{{"id":"h-1","at":"2026-01-01T00:00:00Z","action":"paint","status":"odd","mood":{{}}}}"#
    )
    .unwrap();
    fs::write(dir.path().join("history.jsonl"), text).unwrap();
    let page = history.page(None, 20).unwrap();
    assert_eq!((page.entries[0].action.as_str(), page.entries[0].status.as_str()), ("paint", "odd"));
}
