//! Parses streams recorded from nix 2.8, and invalid ones.

use homelab_deploy::nix::{NixLine, ProgressReader};
use homelab_deploy::protocol::Progress;

/// nix downloads two paths from a cache over HTTP and builds three derivations.
const BUILD: &str = include_str!("../fixtures/nix-2.8-build.jsonl");
/// One of two derivations fails.
const FAILURE: &str = include_str!("../fixtures/nix-2.8-failure.jsonl");

fn read(stream: &str) -> (ProgressReader, Vec<Progress>, Vec<String>) {
    let mut reader = ProgressReader::new();
    let (mut steps, mut log) = (Vec::new(), Vec::new());
    for line in stream.lines() {
        match reader.line(line) {
            Some(NixLine::Progress(progress)) => steps.push(progress),
            Some(NixLine::Log(text)) => log.push(text),
            None => {}
        }
    }
    (reader, steps, log)
}

#[test]
fn a_build_is_reported_step_by_step() {
    let (reader, steps, log) = read(BUILD);
    let mut activities: Vec<&str> = steps.iter().map(|step| step.activity.as_str()).collect();
    activities.dedup();
    activities.retain(|activity| !activity.ends_with(".narinfo"));
    activities.dedup();
    assert_eq!(
        activities,
        [
            "fetching Git repository http://cache.example.org/infra.git",
            "evaluating",
            "downloading http://cache.example.org/cache/nix-cache-info",
            "querying http://cache.example.org/cache",
            "copying linux-firmware-20261110",
            "copying 2 paths",
            "building linux-6.12.9",
            "building system-units",
            "building nixos-system-web-26.05",
            "",
        ]
    );
    assert_eq!(
        log,
        [
            "linux-6.12.9> compiling",
            "linux-6.12.9> warn",
            "linux-6.12.9> colour red",
            "nixos-system-web-26.05> linking"
        ]
    );
    let end = reader.progress();
    assert_eq!((end.done, end.expected, end.running), (3, 3, 0));
    assert_eq!((end.downloaded_bytes, end.expected_bytes), (202_190, 202_190));
    for (before, after) in steps.iter().zip(&steps[1..]) {
        assert_ne!(before, after);
        assert!(before.done <= after.done && before.downloaded_bytes <= after.downloaded_bytes);
        assert!(after.done <= after.expected && after.downloaded_bytes <= after.expected_bytes);
    }
}

#[test]
fn a_failure_is_logged() {
    let (reader, _, log) = read(FAILURE);
    assert_eq!(
        log,
        [
            "broken-1.0> about to fail",
            "error: builder for '/nix/store/a12fklb2mff4mdkxhzdpzmwg5jan2m5y-broken-1.0.drv' failed with exit code 3",
            "error: 1 dependencies of derivation \
             '/nix/store/a9sklfqw6kzz4876z93g9g6bxksxlabw-nixos-system-bad-26.05.drv' failed to build",
        ]
    );
    assert_eq!((reader.progress().done, reader.progress().running), (0, 0));
}

fn start(id: u64, kind: u64, fields: &str) -> String {
    format!(r#"@nix {{"action":"start","id":{id},"level":3,"text":"","type":{kind},"fields":[{fields}]}}"#)
}

fn after(lines: &[&str]) -> Progress {
    read(&lines.join("\n")).0.progress().clone()
}

fn log_of(line: &str) -> Option<String> {
    match ProgressReader::new().line(line) {
        Some(NixLine::Log(text)) => Some(text),
        _ => None,
    }
}

#[test]
fn the_first_activity_is_evaluating() {
    assert_eq!(ProgressReader::new().progress().activity, "evaluating");
}

#[test]
fn a_remote_build_names_the_machine() {
    let build =
        start(1, 105, r#""/nix/store/1k80vm6dhfyz8d7gnr4xykwax1akam0k-git-2.50.drv","ssh://big",1,1"#);
    assert_eq!(after(&[&build]).activity, "building git-2.50 on ssh://big");
    assert_eq!(after(&[&start(1, 105, r#""short.drv""#)]).activity, "building short");
}

#[test]
fn the_newest_running_build_is_shown() {
    let builds = start(1, 104, "");
    let first = start(2, 105, r#""/nix/store/1k80vm6dhfyz8d7gnr4xykwax1akam0k-one.drv""#);
    let second = start(3, 105, r#""/nix/store/1k80vm6dhfyz8d7gnr4xykwax1akam0k-two.drv""#);
    let copy = start(4, 100, r#""/nix/store/1k80vm6dhfyz8d7gnr4xykwax1akam0k-three""#);
    let stop = |id: u64| format!(r#"@nix {{"action":"stop","id":{id}}}"#);
    let activity_after = |lines: &[&str]| after(lines).activity;
    assert_eq!(activity_after(&[&builds, &first, &second, &copy]), "building two");
    assert_eq!(activity_after(&[&builds, &first, &second, &copy, &stop(3)]), "building one");
    assert_eq!(activity_after(&[&builds, &first, &second, &copy, &stop(3), &stop(2)]), "copying three");
    // Between two builds the last description stays.
    assert_eq!(activity_after(&[&builds, &first, &stop(2)]), "building one");
    assert_eq!(activity_after(&[&builds, &first, &stop(2), &stop(1)]), "");
}

#[test]
fn rounds_of_builds_add_up() {
    let rounds = [
        &start(1, 104, ""),
        r#"@nix {"action":"result","fields":[2,3,1,0],"id":1,"type":105}"#,
        r#"@nix {"action":"result","fields":[3,3,0,0],"id":1,"type":105}"#,
        r#"@nix {"action":"stop","id":1}"#,
        &start(2, 104, ""),
        r#"@nix {"action":"result","fields":[1,4,2,0],"id":2,"type":105}"#,
    ];
    let progress = after(&rounds);
    assert_eq!((progress.done, progress.expected, progress.running), (4, 7, 2));
}

#[test]
fn announced_downloads_count_until_their_activity_stops() {
    let announced = [
        &start(1, 102, ""),
        r#"@nix {"action":"result","fields":[101,500],"id":1,"type":106}"#,
        r#"@nix {"action":"result","fields":[101,900],"id":1,"type":106}"#,
        &start(2, 101, r#""https://cache.example.org/x""#),
        r#"@nix {"action":"result","fields":[100,300,0,0],"id":2,"type":105}"#,
        r#"@nix {"action":"stop","id":2}"#,
    ];
    let progress = after(&announced);
    assert_eq!((progress.downloaded_bytes, progress.expected_bytes), (100, 900));
    let progress = after(&[&announced[..], &[r#"@nix {"action":"stop","id":1}"#]].concat());
    assert_eq!((progress.downloaded_bytes, progress.expected_bytes), (100, 100));
}

#[test]
fn log_is_plain_text_without_credentials() {
    for (line, expected) in [
        (r#"@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m dirty"}"#, "warning: dirty"),
        (r#"@nix {"action":"msg","level":0,"msg":"error: a\n\n   at\tb:\n"}"#, "error: a\n\n   at b:"),
        ("Warning: Permanently added 'x'\u{1b}[0m", "Warning: Permanently added 'x'"),
        ("fatal: 'https://me:pw@git.example/x'", "fatal: 'https://git.example/x'"),
        (r#"@nix {"action":"result","id":7,"type":101,"fields":["of unknown"]}"#, "of unknown"),
        (r#"@nix {"action":"result","id":7,"type":107,"fields":["after it"]}"#, "after it"),
        ("@nix {not json", "@nix {not json"),
    ] {
        assert_eq!(log_of(line).as_deref(), Some(expected));
    }
    let fetch = r#"@nix {"action":"start","id":1,"level":4,"text":"fetching 'https://me:pw@git.example/x'","type":0}"#;
    assert_eq!(after(&[fetch]).activity, "fetching https://git.example/x");
}

#[test]
fn invalid_lines_change_nothing() {
    for line in [
        "",
        "@nix 7",
        "@nix null",
        "@nix []",
        "@nix {}",
        r#"@nix {"action":"leap","id":1}"#,
        r#"@nix {"action":"start"}"#,
        r#"@nix {"action":"start","id":-1,"type":104}"#,
        r#"@nix {"action":"start","id":1}"#,
        r#"@nix {"action":"start","id":1,"type":99999,"fields":{"a":1}}"#,
        r#"@nix {"action":"start","id":1,"level":7,"text":"deep inside","type":0}"#,
        r#"@nix {"action":"stop","id":5}"#,
        r#"@nix {"action":"result","id":5,"type":105,"fields":[1,2,3,4]}"#,
        r#"@nix {"action":"result","id":5,"type":106,"fields":[104,9]}"#,
        r#"@nix {"action":"result","id":5,"type":555,"fields":[]}"#,
        r#"@nix {"action":"result","id":5,"type":101}"#,
        r#"@nix {"action":"msg","msg":7}"#,
        r#"@nix {"action":"msg","msg":"\n"}"#,
    ] {
        assert_eq!(ProgressReader::new().line(line), None, "{line}");
    }
}

#[test]
fn numbers_never_overflow() {
    let mut lines = Vec::new();
    for id in 0..5000 {
        lines.push(start(id, 104, ""));
        lines.push(format!(
            r#"@nix {{"action":"result","id":{id},"type":105,"fields":[{0},{0},{0}]}}"#,
            u64::MAX
        ));
        lines.push(format!(r#"@nix {{"action":"result","id":{id},"type":106,"fields":[104,{}]}}"#, u64::MAX));
        lines.push(format!(r#"@nix {{"action":"result","id":{id},"type":105,"fields":[-1,1.5,"x"]}}"#));
    }
    for id in 0..5000 {
        lines.push(format!(r#"@nix {{"action":"stop","id":{id}}}"#));
    }
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let progress = after(&lines);
    assert_eq!((progress.done, progress.expected, progress.running), (0, 0, 0));
}

#[test]
fn a_flood_of_starts_takes_bounded_memory() {
    let mut reader = ProgressReader::new();
    let text = "x".repeat(1000);
    let mut sizes = Vec::new();
    for id in 0..30_000 {
        reader.line(&start(id, 105, &format!("{text:?}")));
        if [10_000, 29_999].contains(&id) {
            // The debug output has the size of the retained state.
            sizes.push(format!("{reader:?}").len());
        }
    }
    assert_eq!(sizes[0], sizes[1]);
    assert!(sizes[0] < 4 << 20, "{}", sizes[0]);
}
