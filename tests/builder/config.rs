//! Errors in the builder's configuration file: all are reported at once, each with its position and the fix.

use crate::common::{HostBuilder, NatsServer, binary, run};
use std::process::Command;

/// The error that the builder prints for this file.
fn refused(config: &str) -> String {
    let nats = NatsServer::start();
    let mut builder = HostBuilder::builder(&nats, config).launch();
    assert_eq!(builder.wait_for_exit().code(), Some(2), "{config}");
    let file = builder.file("builder.toml").display().to_string();
    let lines: Vec<_> = builder.rest_of_log().iter().map(|line| line.as_str().unwrap().to_owned()).collect();
    lines.join("\n").replace(&file, "FILE").strip_prefix("error: ").expect("an error").to_owned()
}

const KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const URL: &str = "url = \"git+https://git.example.org/fleet\"";

#[test]
fn each_mistake_is_reported_with_its_line() {
    for (config, expected) in [
        (
            String::new(),
            "FILE:1:1: the file has no repos; write [repos.NAME] with url = \"git+https://git.example.org/fleet\"",
        ),
        (
            "[repos.a]\n".to_owned(),
            "FILE:1:8: repos.a has no url; write url = \"git+https://git.example.org/fleet\"",
        ),
        (
            "[repos.\"a b\"]\nurl = \"x\"\n".to_owned(),
            "FILE:1:8: repos.a b: \"a b\" is not a name: use 1 to 63 letters, digits, `_` or `-`",
        ),
        (
            format!("[repos.all]\n{URL}\n"),
            "FILE:1:8: repos.all: \"all\" is a reserved word and cannot be a name",
        ),
        (
            "[repos.a]\nurl = \"https://x.example/y\"\n".to_owned(),
            "FILE:2:7: repos.a.url: \"https://x.example/y\" is not a flake URL that can be deployed",
        ),
        (
            "[repos.a]\nurl = \"git+https://x.example/y?ref=main\"\n".to_owned(),
            "FILE:2:7: repos.a.url: the flake URL git+https://x.example/y names a revision (ref=main)",
        ),
        (
            "[repos.a]\nurl = \"path:/etc/nixos\"\n".to_owned(),
            "FILE:2:7: repos.a.url: a plain directory has no commits; use git+file:///PATH of a git repository",
        ),
        (
            format!("[repos.a]\n{URL}\ndefault_branch = \"a..b\"\n"),
            "FILE:3:18: repos.a.default_branch: \"a..b\" is not a revision: git allows no `..`, `//` or `@{` in a name",
        ),
        (
            format!("[repos.a]\n{URL}\nbranch = \"main\"\n"),
            "FILE:3:1: unknown key \"branch\" in [repos.a]; expected one of url, default_branch, default, flake_attrs",
        ),
        (
            format!("[repos.a]\n{URL}\nflake_attrs = {{ web1 = \"a#b\" }}\n"),
            "FILE:3:24: repos.a.flake_attrs.web1: invalid name below nixosConfigurations \"a#b\": expected 1 to 253 letters",
        ),
        (
            format!("paralell = 3\n[repos.a]\n{URL}\n"),
            "FILE:1:1: unknown key \"paralell\" in the file; did you mean parallel?",
        ),
        (format!("parallel = 0\n[repos.a]\n{URL}\n"), "FILE:1:12: parallel: expected a number from 1 to 256"),
        (
            format!("parallel = \"two\"\n[repos.a]\n{URL}\n"),
            "FILE:1:12: parallel: expected a number such as 2, found a string",
        ),
        (
            format!("timeout = \"4 hours\"\n[repos.a]\n{URL}\n"),
            "FILE:1:11: timeout: expected seconds (1 or more), or a string such as \"90s\", \"30m\" or \"4h\"",
        ),
        (format!("timeout = 0\n[repos.a]\n{URL}\n"), "FILE:1:11: timeout: expected seconds (1 or more)"),
        (
            format!("timeout = 1.5\n[repos.a]\n{URL}\n"),
            "FILE:1:11: timeout: expected seconds, or a string such as \"4h\", found a number",
        ),
        (
            format!("keep_going = \"no\"\n[repos.a]\n{URL}\n"),
            "FILE:1:14: keep_going: expected true or false, found a string",
        ),
        (
            format!("post_build_command = []\n[repos.a]\n{URL}\n"),
            "FILE:1:22: post_build_command: the list is empty; remove the key",
        ),
        (
            format!("post_build_command = 7\n[repos.a]\n{URL}\n"),
            "FILE:1:22: post_build_command: expected a list such as [\"attic\", \"push\", \"fleet\"], found a number",
        ),
        (
            format!("[repos.a]\n{URL}\ndefault = true\n[repos.b]\n{URL}\ndefault = true\n"),
            "FILE:6:11: repos.b.default: repos.a is already the default; remove one of the two",
        ),
        (
            format!("trusted_keys = \"U\"\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys: expected a list of quoted strings, found a string",
        ),
        (
            format!("trusted_keys = [\"Uabc\"]\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys: it is not a public key (",
        ),
        (
            format!("trusted_keys = [\"{KEY}\", \"{KEY}@2027-01-01\"]\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 is listed twice with different dates",
        ),
        ("[repos.a\n".to_owned(), "FILE:1:9: "),
    ] {
        let error = refused(&config);
        assert!(error.starts_with(expected), "{config}\n{error}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = refused("parallel = 0\ntimeout = 0\n[repos.a]\nurl = \"x\"\n");
    let lines: Vec<_> = error.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["FILE:1:12", "FILE:2:11", "FILE:4:7"], "{error}");
}

#[test]
fn credentials_and_seeds_are_not_repeated() {
    let error = refused("[repos.a]\nurl = \"https://me:s3cret@x.example/y\"\n");
    assert!(!error.contains("s3cret"), "{error}");
    let seed = homelab_deploy::keys::UserSeed::generate().unwrap();
    let nats = NatsServer::start();
    let file = nats.dir().join("seed");
    seed.write_new(&file).unwrap();
    let secret = std::fs::read_to_string(file).unwrap();
    let error = refused(&format!("post_build_command = \"push {}\"\n[repos.a]\n{URL}\n", secret.trim()));
    assert!(
        error.starts_with("FILE:1:1: expected a path or a public key but found a seed")
            && !error.contains(secret.trim()),
        "{error}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let nats = NatsServer::start();
    let mut builder = HostBuilder::builder(&nats, "").flag("--config", "/missing/builder.toml").launch();
    assert_eq!(builder.wait_for_exit().code(), Some(2));
    let line = builder.rest_of_log()[0].to_string();
    let expected = "failed to read builder configuration /missing/builder.toml: No such file";
    assert!(line.contains(expected), "{line}");
}

#[test]
fn a_file_can_be_checked_without_a_key_or_server() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("builder.toml");
    let check = |config: &str, code: i32| {
        std::fs::write(&file, config).unwrap();
        run(Command::new(binary()).args(["builder", "--check", "--config"]).arg(&file), code)
    };
    let checked = check(&format!("parallel = 2\n[repos.a]\n{URL}\n"), 0);
    assert_eq!(checked.stdout, format!("ok: {} is valid\n", file.display()));
    let refused = check("paralel = 2\n[repos.a]\nurl = \"x\"\n", 2);
    refused.assert_stderr(&[
        "builder.toml:1:1: unknown key \"paralel\" in the file; did you mean parallel?",
        "builder.toml:3:7: ",
    ]);
    // Without --check, the command starts the builder.
    run(Command::new(binary()).args(["builder", "--config"]).arg(&file), 2)
        .assert_stderr(&["--nats-url <URL>", "--nkey-file <FILE>"]);
}
