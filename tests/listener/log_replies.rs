//! The log of a job, queried in chunks.

use crate::common::{Repo, eventually};
use crate::stage::{Stage, phase, text};
use serde_json::{Value, json};
use std::fs;

/// Queries a chunk of a job's log.
fn part(stage: &Stage, id: &str, offset: u64) -> Value {
    let reply = stage.query(json!({"query": "log", "id": id, "offset": offset}));
    assert_eq!((&reply["query"], &reply["hostname"]), (&json!("log"), &json!("web1")), "{reply}");
    assert_eq!(reply["id"], id);
    reply
}

/// Queries chunks until the current end of the log; returns the text and the last reply.
fn whole(stage: &Stage, id: &str) -> (String, Value) {
    let mut whole = String::new();
    loop {
        let reply = part(stage, id, whole.len() as u64);
        assert_eq!(reply["offset"], whole.len(), "{reply}");
        whole += text(&reply["text"]);
        if reply["eof"] == true {
            return (whole, reply);
        }
        assert_ne!(reply["text"], "", "the reply is empty but not at the end");
    }
}

/// `offset`, `text`, `eof` and `running` of a reply.
fn fields(reply: &Value) -> [&Value; 4] {
    ["offset", "text", "eof", "running"].map(|field| &reply[field])
}

fn stored_log(stage: &Stage, id: &str) -> String {
    String::from_utf8(fs::read(stage.job_file(id, "log")).unwrap()).unwrap()
}

/// Waits until the program's output is in the log, which it reaches through a pipe in whole lines or 64 KiB blocks.
fn written(stage: &Stage, id: &str, end: &str) {
    eventually("the end of the output", || stored_log(stage, id).ends_with(end).then_some(()));
}

#[test]
fn a_log_is_read_from_its_start_its_middle_and_its_end() {
    let stage = Stage::new("echo one\necho zwei grün\nprintf 'no end'");
    stage.completes("a-1");
    let stored = stored_log(&stage, "a-1");
    let end = stored.len();
    let chunk_from = |offset: usize| part(&stage, "a-1", offset as u64);
    assert_eq!(fields(&chunk_from(0)), [&json!(0), &json!(stored), &json!(true), &json!(false)]);
    assert_eq!(stage.query(json!({"query": "log", "id": "a-1"})), chunk_from(0), "the default offset is 0");
    let middle = stored.find("zwei").unwrap();
    assert_eq!(fields(&chunk_from(middle))[..2], [&json!(middle), &json!("zwei grün\nno end")]);
    for beyond in [end, end + 1, end + 100_000, usize::MAX] {
        let at_end = [&json!(end), &json!(""), &json!(true), &json!(false)];
        assert_eq!(fields(&chunk_from(beyond)), at_end, "{beyond}");
    }
}

#[test]
fn the_newest_job_is_the_default_and_unknown_jobs_have_no_log() {
    let stage = Stage::new("echo $(cat $DIR/calls); echo call >> $DIR/calls");
    let none = [&Value::Null, &Value::Null, &json!(true), &json!(false)];
    let nothing = stage.query(json!({"query": "log"}));
    assert_eq!((fields(&nothing), &nothing["query"]), (none, &json!("log")));
    assert!(nothing["id"].is_null(), "{nothing}");
    for id in ["a-2", "a-3"] {
        stage.completes(id);
    }
    assert_eq!(stage.query(json!({"query": "log"})), part(&stage, "a-3", 0));
    assert!(text(&part(&stage, "a-3", 0)["text"]).ends_with("\ncall\n"));
    assert_eq!(fields(&part(&stage, "a-99", 0)), none);
}

#[test]
fn a_job_that_wrote_nothing_has_no_log() {
    let repo = Repo::new();
    let stage = Stage::with("", |host| host.flake(&repo.url()));
    let report = stage.deploy("a-4", json!({"revision": "gone"})).final_report();
    assert_eq!(report["error"], "invalid_revision");
    assert!(part(&stage, "a-4", 0)["offset"].is_null());
}

#[test]
fn the_log_of_a_running_job_ends_with_its_last_complete_line() {
    let script =
        "[ -e $DIR/waits ] || exit 0\nprintf 'one\\ntw'; echo > $DIR/printed; read _ < $DIR/go; echo o";
    let stage = Stage::with(script, |host| host.gate("go").gate("printed"));
    stage.completes("a-5");
    fs::write(stage.host.file("waits"), "").unwrap();
    let reports = stage.deploy("a-6", json!({}));
    stage.host.wait_for_line("printed");
    written(&stage, "a-6", "\none\n");
    let (so_far, reply) = whole(&stage, "a-6");
    assert!(so_far.ends_with("\none\n"), "{so_far}");
    assert_eq!((&reply["eof"], &reply["running"]), (&json!(true), &json!(true)));
    let running = stage.query(json!({"query": "log"}));
    assert_eq!((&running["id"], &running["text"]), (&json!("a-6"), &json!(so_far)));
    assert_eq!(part(&stage, "a-5", 0)["running"], false);
    let past = part(&stage, "a-6", 1_000_000);
    assert_eq!(fields(&past), [&json!(so_far.len()), &json!(""), &json!(true), &json!(true)]);

    stage.host.open("go");
    reports.final_report();
    let rest = part(&stage, "a-6", so_far.len() as u64);
    assert_eq!(fields(&rest)[1..], [&json!("two\n"), &json!(true), &json!(false)]);
}

#[test]
fn a_running_job_that_has_written_nothing_yet_has_an_empty_log() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let reports = stage.deploy("a-7", json!({}));
    reports.until(|report| report["message"] == "build");
    fs::remove_file(stage.job_file("a-7", "log")).unwrap();
    assert_eq!(fields(&part(&stage, "a-7", 0)), [&json!(0), &json!(""), &json!(true), &json!(true)]);
    stage.host.open("go");
    reports.final_report();
}

#[test]
fn of_an_incomplete_line_only_the_last_four_kilobytes_are_delayed() {
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo > $DIR/printed; read _ < $DIR/go";
    let stage = Stage::with(script, |host| host.gate("go").gate("printed"));
    let reports = stage.deploy("a-8", json!({}));
    stage.host.wait_for_line("printed");
    written(&stage, "a-8", &"x".repeat(64 << 10));
    let (shown, _) = whole(&stage, "a-8");
    assert_eq!(shown.len(), stored_log(&stage, "a-8").len() - 4096);
    stage.host.open("go");
    reports.final_report();
    assert!(whole(&stage, "a-8").0 == stored_log(&stage, "a-8"));
}

#[test]
fn the_chunks_of_a_large_log_make_up_the_file() {
    // Chunks end within lines and characters, and quotes take more space in a message.
    let script =
        r#"i=0; while [ $i -lt 3200 ]; do i=$((i+1)); echo "$i ü€😀 \"$(printf '%080d' $i)\""; done"#;
    let stage = Stage::new(script);
    stage.completes("a-9");
    let stored = stored_log(&stage, "a-9");
    assert!(stored.len() > 300_000, "{}", stored.len());
    assert!(whole(&stage, "a-9").0 == stored);
    let first = part(&stage, "a-9", 0);
    assert_eq!(first["eof"], false);
    assert!(text(&first["text"]).len() > 50_000, "{}", text(&first["text"]).len());
    let longer_than_a_part = part(&stage, "a-9", (stored.len() - 62_000) as u64);
    assert_eq!(longer_than_a_part["eof"], false);
}

#[test]
fn a_chunk_that_grows_sixfold_when_escaped_is_split() {
    let stage = Stage::new("head -c 100000 /dev/zero | tr '\\0' '\\033'; echo");
    stage.completes("a-10");
    assert!(whole(&stage, "a-10").0 == stored_log(&stage, "a-10"));
}

#[test]
fn bytes_that_are_not_utf8_keep_their_offsets_wherever_a_chunk_starts() {
    let stage = Stage::new("printf 'a\\377\\376b\\n\\303\\n'; printf '\\360\\237\\230\\200 ok\\n\\342\\202'");
    stage.completes("a-11");
    let stored = fs::read(stage.job_file("a-11", "log")).unwrap();
    let (shown, _) = whole(&stage, "a-11");
    assert!(shown.ends_with("\na??b\n?\n😀 ok\n??"), "{shown}");
    let face = shown.find('😀').unwrap();
    for offset in 0..=stored.len() {
        let rest = part(&stage, "a-11", offset as u64);
        // A chunk that starts within a character cannot show it.
        let within = (face + 1..face + 4).contains(&offset);
        let expected =
            if within { "????"[offset - face..].to_owned() + " ok\n??" } else { shown[offset..].to_owned() };
        assert_eq!((&rest["offset"], &rest["text"]), (&json!(offset), &json!(expected)));
    }
}

#[test]
fn secrets_are_redacted_as_in_live_lines_wherever_a_chunk_starts() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let script = "echo says token=geheim twice token=geheim; printf token=geh; echo > $DIR/printed; \
                  read _ < $DIR/go; echo eim";
    let url = format!("{}?token=geheim", repo.url());
    let stage = Stage::with(script, |host| host.flake(&url).gate("go").gate("printed"));
    let lines = stage.wire.subscribe("deploy.responses.*.log.web1");
    let reports = stage.deploy("a-12", json!({"revision": commit, "commit": commit}));
    stage.host.wait_for_line("printed");
    let mask = "*".repeat("token=geheim".len());
    let line = format!("says {mask} twice {mask}\n");
    lines.until(|live| live["text"] == line);
    let (shown, _) = whole(&stage, "a-12");
    assert!(shown.ends_with(&line), "{shown}");
    stage.host.open("go");
    reports.final_report();
    let (shown, _) = whole(&stage, "a-12");
    assert!(shown.ends_with(&format!("\n{line}{mask}\n")), "{shown}");
    assert_eq!(shown.len() as u64, fs::metadata(stage.job_file("a-12", "log")).unwrap().len());
    for offset in shown.len() - 2 * line.len()..shown.len() {
        assert_eq!(part(&stage, "a-12", offset as u64)["text"], shown[offset..]);
    }
}
