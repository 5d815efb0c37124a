//! The log screen: a job's log from its first line, then live.

use crate::common::{Host, NatsServer, WAIT, lines};
use crate::harness::{Console, ESC, LEAVE, console, held};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// The only job of a host: its id and its log.
fn job(host: &Host) -> (String, Vec<u8>) {
    let mut jobs = fs::read_dir(host.file("state/jobs")).unwrap();
    let job = jobs.next().unwrap().unwrap();
    assert!(jobs.next().is_none());
    (job.file_name().into_string().unwrap(), fs::read(job.path().join("log")).unwrap())
}

/// The names of the files in a directory.
fn files(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_log_is_followed_read_searched_and_saved() {
    let nats = NatsServer::start();
    let script = format!(
        "for n in $(seq 60); do echo \"line $n\"; done\n{WAIT}\n\
         for n in $(seq 61 70); do echo \"line $n\"; done; printf '\\033[31mred\\033[0m 建設\\n'\n{WAIT}\n\
         echo 'the last line'"
    );
    let (host, gate) = held(&nats, "web1", &script);
    let directory = TempDir::new().unwrap();
    let mut command = console(&nats, "admin");
    command.current_dir(directory.path());
    let mut console = Console::of(&command, 120, 24);
    console.row("web1", &["● idle"]);
    console.deploy();
    console.line(&["│ line 60"]);

    console.types("l");
    console.line(&["─ web1 ▸ switch master", "▶ 0:", " following "]);
    console.line(&["│ line 60"]);
    // The listener itself has written two lines before them.
    console.line(&["lines 44-62 of 62"]);
    // New lines do not move the view while it is paused.
    console.types("g");
    console.line(&[" paused "]);
    console.line(&["│ line 1 "]);
    gate.pass();
    console.line(&["paused, 11 new lines below"]);
    console.line(&["│ line 1 "]);
    console.line(&["lines 1-19 of 73"]);
    console.types("G");
    console.line(&[" following "]);
    console.line(&["│ red 建設"]);
    // Only live lines have a time.
    console.types("t");
    console.line(&["│          line 60"]);
    let live = console.line(&["line 61"]);
    let time = live.trim_start_matches("│ ").split(' ').next().unwrap();
    assert!(time.len() == 8 && time.split(':').all(|part| part.parse::<u8>().is_ok()), "{live}");
    console.types("t");

    console.types("/LINE 7");
    console.line(&["└─ /LINE 7", "no match"]);
    console.types("\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}line 7");
    console.line(&["└─ /", "line 7", "match 2 of 2"]);
    console.types("\rn");
    console.line(&["search continued from the beginning", "match 1 of 2"]);
    console.until("the match, in reverse", |screen| {
        let row = lines(screen).iter().position(|line| line.starts_with("│ line 7 "));
        let cell = |column| screen.cell(u16::try_from(row?).ok()?, column);
        row.is_some() && (2..8).all(|column| cell(column).is_some_and(vt100::Cell::inverse))
    });
    console.types(ESC);
    console.hides("match 1 of 2");

    // The command line shows the file first: initially in the state directory, never in the current one.
    let (id, log) = job(&host);
    let name = format!("web1-{id}.log");
    console.types("S");
    console.shows(":save ");
    console.shows("/homelab-deploy/logs/");
    console.types(ESC);
    console.hides(":save ");
    assert_eq!(files(&directory), [] as [&str; 0]);
    console.types(&format!(":save {}/{name}\r", directory.path().display()));
    console.shows("saved ");
    assert_eq!(files(&directory), [name.as_str()]);
    // The file is as safe on a terminal as the screen, and only its owner can read it.
    let log = clean(log);
    let saved = directory.path().join(&name);
    assert_eq!(fs::read_to_string(&saved).unwrap(), log);
    assert_eq!(fs::metadata(&saved).unwrap().permissions().mode() & 0o777, 0o600);

    // A second file has the complete log, and the first stays as it is.
    gate.pass();
    console.line(&["─ web1 ▸ switch master", "✓ completed in "]);
    console.types("G");
    console.line(&["─ web1 ▸ switch master", " ended "]);
    console.line(&["│ the last line"]);
    // The directory of the last file is suggested.
    console.types("S");
    console.shows(":save ");
    console.types("\r");
    console.until("the second file", |_| {
        files(&directory).len() == 2 && is_complete(&directory, &id, job(&host).1)
    });
    assert_eq!(fs::read_to_string(&saved).unwrap(), log);

    // If the log cannot be saved, a dialog shows the reason.
    console.types(":save /proc/none/log\r");
    console.shows("The log was not saved");
    console.shows("choose a file in a writable");
    console.types("\r");
    console.hides("not saved");

    console.types(ESC);
    console.row("web1", &["● idle"]);
    console.line(&["│ the last line"]);
    console.types(LEAVE);
    let screen = console.wait_for_exit();
    crate::ansi::only_ours(&screen.raw);
    assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
}

/// A log in the form in which it is saved.
fn clean(log: Vec<u8>) -> String {
    String::from_utf8(log).unwrap().replace("\u{1b}[31mred\u{1b}[0m", "red")
}

/// Whether the second file of a job has its complete log and is private.
fn is_complete(directory: &TempDir, id: &str, log: Vec<u8>) -> bool {
    let saved = directory.path().join(format!("web1-{id}-1.log"));
    // A log may contain secrets that a program has printed by mistake.
    let is_private = fs::metadata(&saved).is_ok_and(|found| found.permissions().mode() & 0o777 == 0o600);
    is_private && fs::read_to_string(saved).is_ok_and(|saved| saved == clean(log))
}
