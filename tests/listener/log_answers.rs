//! The log of a job, asked for piece by piece.

use crate::common::{Repo, eventually};
use crate::stage::{Stage, phase, text};
use serde_json::{Value, json};
use std::fs;

/// Asks for a part of the log of a job.
fn part(stage: &Stage, id: &str, offset: u64) -> Value {
    let answer = stage.ask(json!({"want": "log", "id": id, "offset": offset}));
    assert_eq!((&answer["want"], &answer["hostname"]), (&json!("log"), &json!("web1")), "{answer}");
    assert_eq!(answer["id"], id);
    answer
}

/// Asks on until the present end of the log; gives the text and the last answer.
fn whole(stage: &Stage, id: &str) -> (String, Value) {
    let mut whole = String::new();
    loop {
        let answer = part(stage, id, whole.len() as u64);
        assert_eq!(answer["offset"], whole.len(), "{answer}");
        whole += text(&answer["text"]);
        if answer["eof"] == true {
            return (whole, answer);
        }
        assert_ne!(answer["text"], "", "neither text nor the end");
    }
}

/// `offset`, `text`, `eof` and `running` of an answer.
fn told(answer: &Value) -> [&Value; 4] {
    ["offset", "text", "eof", "running"].map(|field| &answer[field])
}

fn kept(stage: &Stage, id: &str) -> String {
    String::from_utf8(fs::read(stage.job_file(id, "log")).unwrap()).unwrap()
}

/// Waits for what the program has written, which reaches the log through a pipe: whole lines, and 64 KiB of a longer one.
fn written(stage: &Stage, id: &str, end: &str) {
    eventually("all of it", || kept(stage, id).ends_with(end).then_some(()));
}

#[test]
fn a_log_is_told_from_its_start_its_middle_and_its_end() {
    let stage = Stage::new("echo one\necho zwei grün\nprintf 'no end'");
    stage.completes("a-1");
    let kept = kept(&stage, "a-1");
    let end = kept.len();
    let told_from = |offset: usize| part(&stage, "a-1", offset as u64);
    assert_eq!(told(&told_from(0)), [&json!(0), &json!(kept), &json!(true), &json!(false)]);
    assert_eq!(stage.ask(json!({"want": "log", "id": "a-1"})), told_from(0), "the start is meant");
    let middle = kept.find("zwei").unwrap();
    assert_eq!(told(&told_from(middle))[..2], [&json!(middle), &json!("zwei grün\nno end")]);
    for beyond in [end, end + 1, end + 100_000, usize::MAX] {
        let at_end = [&json!(end), &json!(""), &json!(true), &json!(false)];
        assert_eq!(told(&told_from(beyond)), at_end, "{beyond}");
    }
}

#[test]
fn without_an_id_it_is_that_of_the_newest_job_and_unknown_ones_have_none() {
    let stage = Stage::new("echo $(cat $DIR/calls); echo call >> $DIR/calls");
    let none = [&Value::Null, &Value::Null, &json!(true), &json!(false)];
    let nothing = stage.ask(json!({"want": "log"}));
    assert_eq!((told(&nothing), &nothing["want"]), (none, &json!("log")));
    assert!(nothing["id"].is_null(), "{nothing}");
    for id in ["a-2", "a-3"] {
        stage.completes(id);
    }
    assert_eq!(stage.ask(json!({"want": "log"})), part(&stage, "a-3", 0));
    assert!(text(&part(&stage, "a-3", 0)["text"]).ends_with("\ncall\n"));
    assert_eq!(told(&part(&stage, "a-99", 0)), none);
}

#[test]
fn a_job_that_never_wrote_has_no_log() {
    let repo = Repo::new();
    let stage = Stage::with("", |host| host.flake(&repo.url()));
    let report = stage.deploy("a-4", json!({"revision": "gone"})).verdict();
    assert_eq!(report["error"], "invalid_revision");
    assert!(part(&stage, "a-4", 0)["offset"].is_null());
}

#[test]
fn a_running_job_is_told_up_to_its_last_whole_line() {
    let script = "[ -e $DIR/held ] || exit 0\nprintf 'one\\ntw'; echo > $DIR/told; read _ < $DIR/go; echo o";
    let stage = Stage::with(script, |host| host.gate("go").gate("told"));
    stage.completes("a-5");
    fs::write(stage.host.file("held"), "").unwrap();
    let reports = stage.deploy("a-6", json!({}));
    stage.host.told("told");
    written(&stage, "a-6", "\none\n");
    let (sofar, answer) = whole(&stage, "a-6");
    assert!(sofar.ends_with("\none\n"), "{sofar}");
    assert_eq!((&answer["eof"], &answer["running"]), (&json!(true), &json!(true)));
    let running = stage.ask(json!({"want": "log"}));
    assert_eq!((&running["id"], &running["text"]), (&json!("a-6"), &json!(sofar)));
    assert_eq!(part(&stage, "a-5", 0)["running"], false);
    let past = part(&stage, "a-6", 1_000_000);
    assert_eq!(told(&past), [&json!(sofar.len()), &json!(""), &json!(true), &json!(true)]);

    stage.host.open("go");
    reports.verdict();
    let rest = part(&stage, "a-6", sofar.len() as u64);
    assert_eq!(told(&rest)[1..], [&json!("two\n"), &json!(true), &json!(false)]);
}

#[test]
fn a_running_job_that_has_written_nothing_yet_has_an_empty_log() {
    let stage = Stage::with(&format!("{}read _ < $DIR/go", phase("build")), |host| host.gate("go"));
    let reports = stage.deploy("a-7", json!({}));
    reports.until(|report| report["message"] == "build");
    fs::remove_file(stage.job_file("a-7", "log")).unwrap();
    assert_eq!(told(&part(&stage, "a-7", 0)), [&json!(0), &json!(""), &json!(true), &json!(true)]);
    stage.host.open("go");
    reports.verdict();
}

#[test]
fn of_an_unfinished_line_only_the_last_four_kilobytes_are_held_back() {
    let script = "head -c 100000 /dev/zero | tr '\\0' x; echo > $DIR/told; read _ < $DIR/go";
    let stage = Stage::with(script, |host| host.gate("go").gate("told"));
    let reports = stage.deploy("a-8", json!({}));
    stage.host.told("told");
    written(&stage, "a-8", &"x".repeat(64 << 10));
    let (told, _) = whole(&stage, "a-8");
    assert_eq!(told.len(), kept(&stage, "a-8").len() - 4096);
    stage.host.open("go");
    reports.verdict();
    assert!(whole(&stage, "a-8").0 == kept(&stage, "a-8"));
}

#[test]
fn three_hundred_kilobytes_come_in_pieces_that_make_the_file() {
    // Neither lines nor characters end where pieces do, and quotes need more room in a message.
    let script =
        r#"i=0; while [ $i -lt 3200 ]; do i=$((i+1)); echo "$i ü€😀 \"$(printf '%080d' $i)\""; done"#;
    let stage = Stage::new(script);
    stage.completes("a-9");
    let kept = kept(&stage, "a-9");
    assert!(kept.len() > 300_000, "{}", kept.len());
    assert!(whole(&stage, "a-9").0 == kept);
    let first = part(&stage, "a-9", 0);
    assert_eq!(first["eof"], false);
    assert!(text(&first["text"]).len() > 50_000, "{}", text(&first["text"]).len());
    let longer_than_a_part = part(&stage, "a-9", (kept.len() - 62_000) as u64);
    assert_eq!(longer_than_a_part["eof"], false);
}

#[test]
fn a_piece_that_needs_six_times_its_room_is_cut_and_read_on() {
    let stage = Stage::new("head -c 100000 /dev/zero | tr '\\0' '\\033'; echo");
    stage.completes("a-10");
    assert!(whole(&stage, "a-10").0 == kept(&stage, "a-10"));
}

#[test]
fn bytes_that_are_no_text_keep_their_places_wherever_a_part_begins() {
    let stage = Stage::new("printf 'a\\377\\376b\\n\\303\\n'; printf '\\360\\237\\230\\200 ok\\n\\342\\202'");
    stage.completes("a-11");
    let kept = fs::read(stage.job_file("a-11", "log")).unwrap();
    let (told, _) = whole(&stage, "a-11");
    assert!(told.ends_with("\na??b\n?\n😀 ok\n??"), "{told}");
    let face = told.find('😀').unwrap();
    for offset in 0..=kept.len() {
        let rest = part(&stage, "a-11", offset as u64);
        // A part that begins within a character cannot show it.
        let within = (face + 1..face + 4).contains(&offset);
        let expected =
            if within { "????"[offset - face..].to_owned() + " ok\n??" } else { told[offset..].to_owned() };
        assert_eq!((&rest["offset"], &rest["text"]), (&json!(offset), &json!(expected)));
    }
}

#[test]
fn secrets_are_blotted_out_as_in_live_lines_wherever_a_part_begins() {
    let repo = Repo::new();
    let commit = repo.commit("flake.nix", "{}");
    let script = "echo says token=geheim twice token=geheim; printf token=geh; echo > $DIR/told; \
                  read _ < $DIR/go; echo eim";
    let url = format!("{}?token=geheim", repo.url());
    let stage = Stage::with(script, |host| host.flake(&url).gate("go").gate("told"));
    let lines = stage.wire.listen("deploy.responses.*.log.web1");
    let reports = stage.deploy("a-12", json!({"revision": commit, "commit": commit}));
    stage.host.told("told");
    let blot = "*".repeat("token=geheim".len());
    let line = format!("says {blot} twice {blot}\n");
    lines.until(|live| live["text"] == line);
    let (told, _) = whole(&stage, "a-12");
    assert!(told.ends_with(&line), "{told}");
    stage.host.open("go");
    reports.verdict();
    let (told, _) = whole(&stage, "a-12");
    assert!(told.ends_with(&format!("\n{line}{blot}\n")), "{told}");
    assert_eq!(told.len() as u64, fs::metadata(stage.job_file("a-12", "log")).unwrap().len());
    for offset in told.len() - 2 * line.len()..told.len() {
        assert_eq!(part(&stage, "a-12", offset as u64)["text"], told[offset..]);
    }
}
