//! Errors in the configuration file: all are reported at once, each with its position and the fix.

use crate::common::{TestDir, binary, run};
use std::process::Command;

/// The output of `--check` for this file.
fn check(config: &str, code: i32) -> String {
    let dir = TestDir::new();
    let file = dir.path().join("notify.toml");
    std::fs::write(&file, config).unwrap();
    let ended = run(Command::new(binary()).args(["notify", "--check", "--config"]).arg(&file), code);
    let text = if code == 0 { ended.stdout } else { ended.stderr };
    text.replace(&file.display().to_string(), "FILE")
}

const NTFY: &str = "[targets.a]\nkind = \"ntfy\"\nurl = \"https://ntfy.sh/topic\"\n";

#[test]
fn each_mistake_is_reported_with_its_line() {
    let ntfy = |more: &str| format!("{NTFY}{more}\n");
    let url = |url: &str| format!("[targets.a]\nkind = \"webhook\"\nurl = \"{url}\"\n");
    for (config, expected) in [
        (String::new(), "FILE:1:1: the file has no targets; write [targets.NAME] with kind = \"ntfy\""),
        ("[targets.a]\n".to_owned(), "FILE:1:10: targets.a has no kind; write kind = \"ntfy\", or matrix,"),
        (
            "[targets.a]\nkind = \"ntfy\"\n".to_owned(),
            "FILE:1:10: targets.a has no url; write url = \"https://…\", or url_file",
        ),
        ("[targets.\"a b\"]\n".to_owned(), "FILE:1:10: targets.a b: \"a b\" is not a name"),
        (
            "[targets.a]\nkind = \"slak\"\nurl_file = \"/u\"\n".to_owned(),
            "FILE:2:8: targets.a.kind: unknown word \"slak\"; did you mean slack?",
        ),
        (ntfy("titel = \"x\""), "FILE:4:1: unknown key \"titel\" in [targets.a]; did you mean title?"),
        (format!("flet = \"x\"\n{NTFY}"), "FILE:1:1: unknown key \"flet\" in the file; did you mean fleet?"),
        (
            ntfy("title = \"{titel}\""),
            "FILE:4:9: targets.a.title: unknown field {titel} (did you mean title, total?); the fields are title, message,",
        ),
        (ntfy("message = \"{\""), "FILE:4:11: targets.a.message: a single '{': write a field such as {title}, or {{"),
        (ntfy("results = [\"done\"]"), "FILE:4:12: targets.a.results: unknown word \"done\"; expected one of completed,"),
        (ntfy("results = []"), "FILE:4:11: targets.a.results: the list is empty; remove the key"),
        (ntfy("events = [\"ends\"]"), "FILE:4:11: targets.a.events: unknown word \"ends\"; did you mean end?"),
        (ntfy("actions = [\"hold\"]"), "FILE:4:11: targets.a.actions: unknown word \"hold\"; "),
        (ntfy("tiers = [\"a.b\"]"), "FILE:4:10: targets.a.tiers: \"a.b\" is not a name"),
        (ntfy("limit = 0"), "FILE:4:9: targets.a.limit: expected a number from 1 to 600"),
        (ntfy("timeout = \"soon\""), "FILE:4:11: targets.a.timeout: expected a time up to 24 hours, such as"),
        (ntfy("priority = { failed = 6 }"), "FILE:4:23: targets.a.priority.failed: expected a number from 1 to 5"),
        (ntfy("tags = { faild = [] }"), "FILE:4:10: unknown key \"faild\" in targets.a.tags; did you mean failed?"),
        (ntfy("room = \"!r:h\""), "FILE:4:8: targets.a.room: a target of the kind ntfy has no room, only matrix"),
        (
            ntfy("secret_file = \"/s\""),
            "FILE:4:15: targets.a.secret_file: a target of the kind ntfy has no secret_file, only webhook",
        ),
        (ntfy("url_file = \"/u\""), "FILE:4:12: targets.a.url_file: there is also a url; remove one of the two"),
        (
            "[targets.a]\nkind = \"slack\"\nurl = \"https://hooks.slack.com/services/s3cret\"\n".to_owned(),
            "FILE:3:7: targets.a.url: everyone who knows it can post there: write it to a file and set url_file",
        ),
        (
            "[targets.a]\nkind = \"matrix\"\nurl = \"https://m.example.org\"\n".to_owned(),
            "FILE:1:10: targets.a has no room; write room = \"!ID:SERVER\"",
        ),
        (
            "[targets.a]\nkind = \"matrix\"\nurl = \"https://m.example.org\"\nroom = \"#ops:h\"\ntoken_file = \"/t\"\n"
                .to_owned(),
            "FILE:4:8: targets.a.room: expected the id of a room, which starts with `!`",
        ),
        (
            "[targets.a]\nkind = \"ntfy\"\nurl = \"https://ntfy.sh\"\n".to_owned(),
            "FILE:3:7: targets.a.url: expected a URL that ends with the topic",
        ),
        (url("ntfy.sh/topic"), "FILE:3:7: targets.a.url: expected a URL such as https://"),
        (url("ftp://h/x"), "FILE:3:7: targets.a.url: expected a URL such as https://"),
        (url("https://u:s3cret@h/x"), "FILE:3:7: targets.a.url: it contains a user name or a password: use token_file"),
        (url("http://h/x"), "FILE:3:7: targets.a.url: without TLS, others can read the notifications and the token"),
        (format!("end_after = 5\n{NTFY}"), "FILE:1:13: end_after: expected a quoted string, found a number"),
        (format!("unproven = \"maybe\"\n{NTFY}"), "FILE:1:12: unproven: invalid value \"maybe\": expected \"allow\""),
    ] {
        let error = check(&config, 2);
        assert!(error.starts_with(&format!("error: {expected}")), "{config}\n{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = check("end_after = \"x\"\n[targets.a]\nkind = \"x\"\nurl = \"y\"\nlimit = 0\n", 2);
    let places: Vec<_> =
        error.lines().map(|line| line.trim_start_matches("error: ").split(": ").next().unwrap()).collect();
    assert_eq!(places, ["FILE:1:13", "FILE:3:8", "FILE:5:9"], "{error}");
}

#[test]
fn a_valid_file_is_accepted_without_its_secrets() {
    let config = "fleet = \"/missing/fleet.toml\"\nfleet_name = \"home\"\nunproven = \"refuse\"\nend_after = \"30s\"\n\
                  silent_after = \"1h\"\nhost_after = \"10m\"\n\
                  [targets.phone]\nkind = \"ntfy\"\nurl_file = \"%d/phone-url\"\ntoken_file = \"~/t\"\ntimeout = \"5s\"\n\
                  limit = 5\nevents = [\"failure\", \"end\", \"offline\", \"units\"]\ntiers = [\"prod\"]\nroles = [\"dns\"]\n\
                  hosts = [\"ns1\"]\nresults = [\"failed\", \"unknown\"]\nactions = [\"switch\", \"reboot\"]\n\
                  title = \"{result}: {title}\"\nmessage = \"{{{id}}} {hosts}\"\npriority = { failed = 5 }\n\
                  tags = { failed = [\"skull\"] }\n\
                  [targets.lan]\nkind = \"webhook\"\nurl = \"http://10.0.0.1:8080/x\"\ninsecure_http = true\n";
    assert_eq!(check(config, 0), "ok: FILE is valid\n");
}

#[test]
fn a_missing_file_is_named() {
    let ended =
        run(Command::new(binary()).args(["notify", "--check", "--config", "/missing/notify.toml"]), 2);
    ended.assert_stderr(&["failed to read notify configuration /missing/notify.toml: No such file"]);
    // Without --check or --test, the command starts the service.
    run(Command::new(binary()).args(["notify", "--config", "/missing/notify.toml"]), 2)
        .assert_stderr(&["--nats-url <URL>", "--nkey-file <FILE>"]);
}
