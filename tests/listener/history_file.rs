//! The file of the history, used as the listener uses it: rotation, torn lines, foreign lines.

use homelab_deploy::jobs::{History, Page};
use homelab_deploy::protocol::{Action, HistoryEntry, Id, Status};
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
    }
}

fn line(n: usize) -> String {
    serde_json::to_string(&entry(n)).unwrap() + "\n"
}

/// Lines from `first` on that together need `bytes` at most; gives the number of the next.
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

/// All that can be read, by their numbers, page by page.
fn all(history: &History) -> Vec<usize> {
    let mut seen = Vec::new();
    let mut page = history.page(None, 100_000).unwrap();
    loop {
        seen.extend(page.entries.iter().map(|entry| entry.id.as_str()[2..].parse::<usize>().unwrap()));
        assert!(serde_json::to_vec(&page.entries).unwrap().len() < 64 * 1024, "it fits into a message");
        match &page.next {
            None => return seen,
            Some(next) => page = history.page(Some(next), 100_000).unwrap(),
        }
    }
}

fn numbers(page: &Page) -> Vec<&str> {
    page.entries.iter().map(|entry| entry.id.as_str()).collect()
}

#[test]
fn ten_mebibytes_begin_a_new_file_and_one_older_file_is_read_on() {
    let folder = TempDir::new().unwrap();
    let [file, older] = ["history.jsonl", "history.1.jsonl"].map(|name| folder.path().join(name));
    let history = History::new(folder.path());
    let next = fill(&file, 0, TEN_MIB - line(100_000).len());
    history.append(&[entry(next)]).unwrap();
    assert!(!older.exists(), "there was room for one more");
    let length = fs::metadata(&file).unwrap().len();
    history.append(&[entry(next + 1), entry(next + 2)]).unwrap();
    assert_eq!(fs::metadata(&older).unwrap().len(), length);
    assert_eq!(fs::read_to_string(&file).unwrap(), line(next + 1) + &line(next + 2));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // From one file into the other, by a page and within one.
    let across = history.page(None, 3).unwrap();
    assert_eq!(numbers(&across), [id(next + 2), id(next + 1), id(next)].each_ref().map(Id::as_str));
    let within = history.page(Some(&id(next + 1)), 2).unwrap();
    assert_eq!(numbers(&within), [id(next), id(next - 1)].each_ref().map(Id::as_str));
    assert_eq!(history.page(Some(&id(0)), 9).unwrap(), Page::default());
    assert_eq!(numbers(&history.page(Some(&id(1)), 9).unwrap()), ["h-0"]);
    let lacks = history.lacks([id(0), id(next), id(next + 2), id(next + 3)].into()).unwrap();
    assert_eq!(lacks, HashSet::from([id(next + 3)]));

    // The file before that one is gone the next time.
    let last = fill(&file, next + 3, TEN_MIB);
    history.append(&[entry(last)]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), line(last));
    assert_eq!(history.lacks([id(0), id(next + 3)].into()).unwrap(), HashSet::from([id(0)]));
}

#[test]
fn every_line_is_read_wherever_pieces_of_the_file_end() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history.jsonl");
    let history = History::new(folder.path());
    for shift in (0..line(1000).len()).step_by(41) {
        let next = fill(&file, 1000, 140_000 + shift);
        assert_eq!(all(&history), (1000..next).rev().collect::<Vec<_>>(), "{shift}");
    }
}

#[test]
fn what_is_no_line_of_ours_is_passed_over() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history.jsonl");
    let history = History::new(folder.path());
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
        assert!(fs::read_to_string(&file).unwrap().starts_with(&text), "nothing is taken away");
    }
    fs::write(&file, format!("{junk}{}", line(1), junk = "\n\n")).unwrap();
    assert_eq!(all(&history), [1]);
    fs::write(&file, format!("{endless}{}", line(1))).unwrap();
    assert_eq!(all(&history), [] as [usize; 0]);
}

#[test]
fn fields_of_a_newer_version_do_no_harm() {
    let folder = TempDir::new().unwrap();
    let history = History::new(folder.path());
    let mut text = String::new();
    writeln!(
        text,
        r#"{{"id":"h-1","at":"2026-01-01T00:00:00Z","action":"paint","status":"odd","mood":{{}}}}"#
    )
    .unwrap();
    fs::write(folder.path().join("history.jsonl"), text).unwrap();
    let page = history.page(None, 20).unwrap();
    assert_eq!((page.entries[0].action.as_str(), page.entries[0].status.as_str()), ("paint", "odd"));
}
