//! The builder's file: what is wrong is told with its place and what to write, all of it at once.

use crate::common::{Broker, HostBuilder, binary, run};
use std::process::Command;

/// What the builder says of this file before it ends.
fn refused(config: &str) -> String {
    let broker = Broker::start();
    let mut builder = HostBuilder::builder(&broker, config).launch();
    assert_eq!(builder.ended().code(), Some(2), "{config}");
    let file = builder.file("builder.toml").display().to_string();
    let said: Vec<_> = builder.rest_of_log().iter().map(|line| line.as_str().unwrap().to_owned()).collect();
    said.join("\n").replace(&file, "FILE").strip_prefix("error: ").expect("an error").to_owned()
}

const KEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const URL: &str = "url = \"git+https://git.example.org/fleet\"";

#[test]
fn each_mistake_is_told_with_its_line() {
    for (config, said) in [
        (
            String::new(),
            "FILE:1:1: the file has no repos; write [repos.NAME] and below it url = \"git+https://git.example.org/fleet\"",
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
            "FILE:2:7: repos.a.url: a folder has no commits; write git+file:///PATH of a git repository",
        ),
        (
            format!("[repos.a]\n{URL}\ndefault_branch = \"a..b\"\n"),
            "FILE:3:18: repos.a.default_branch: \"a..b\" is not a revision: git allows no `..`, `//` or `@{` in a name",
        ),
        (
            format!("[repos.a]\n{URL}\nbranch = \"main\"\n"),
            "FILE:3:1: unknown key \"branch\" in [repos.a]; the keys there are url, default_branch, default, flake_attrs",
        ),
        (
            format!("[repos.a]\n{URL}\nflake_attrs = {{ web1 = \"a#b\" }}\n"),
            "FILE:3:24: repos.a.flake_attrs.web1: \"a#b\" is no name below nixosConfigurations; give its name alone",
        ),
        (
            format!("paralell = 3\n[repos.a]\n{URL}\n"),
            "FILE:1:1: unknown key \"paralell\" in the file; did you mean parallel?",
        ),
        (format!("parallel = 0\n[repos.a]\n{URL}\n"), "FILE:1:12: parallel: write a number from 1 to 256"),
        (
            format!("parallel = \"two\"\n[repos.a]\n{URL}\n"),
            "FILE:1:12: parallel is a text; write a number, as in 2",
        ),
        (
            format!("timeout = \"4 hours\"\n[repos.a]\n{URL}\n"),
            "FILE:1:11: timeout: write seconds from 1, or a text as in \"90s\", \"30m\" or \"4h\"",
        ),
        (format!("timeout = 0\n[repos.a]\n{URL}\n"), "FILE:1:11: timeout: write seconds from 1"),
        (
            format!("timeout = 1.5\n[repos.a]\n{URL}\n"),
            "FILE:1:11: timeout is a number; write seconds, or a text as in \"4h\"",
        ),
        (
            format!("keep_going = \"no\"\n[repos.a]\n{URL}\n"),
            "FILE:1:14: keep_going is a text; write true or false",
        ),
        (
            format!("post_build_command = []\n[repos.a]\n{URL}\n"),
            "FILE:1:22: post_build_command: it is empty; leave it out",
        ),
        (
            format!("post_build_command = 7\n[repos.a]\n{URL}\n"),
            "FILE:1:22: post_build_command is a number; write a list, as in",
        ),
        (
            format!("[repos.a]\n{URL}\ndefault = true\n[repos.b]\n{URL}\ndefault = true\n"),
            "FILE:6:11: repos.b.default: repos.a is the default already; leave one of them out",
        ),
        (
            format!("trusted_keys = \"U\"\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys is a text; write a list of texts in quotes",
        ),
        (
            format!("trusted_keys = [\"Uabc\"]\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys: it is not a public key (",
        ),
        (
            format!("trusted_keys = [\"{KEY}\", \"{KEY}@2027-01-01\"]\n[repos.a]\n{URL}\n"),
            "FILE:1:16: trusted_keys: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 is given before with another date",
        ),
        ("[repos.a\n".to_owned(), "FILE:1:9: "),
    ] {
        let told = refused(&config);
        assert!(told.starts_with(said), "{config}\n{told}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let told = refused("parallel = 0\ntimeout = 0\n[repos.a]\nurl = \"x\"\n");
    let lines: Vec<_> = told.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["FILE:1:12", "FILE:2:11", "FILE:4:7"], "{told}");
}

#[test]
fn credentials_and_seeds_are_not_told_back() {
    let told = refused("[repos.a]\nurl = \"https://me:s3cret@x.example/y\"\n");
    assert!(!told.contains("s3cret"), "{told}");
    let seed = homelab_deploy::keys::Seed::generate().unwrap();
    let broker = Broker::start();
    let file = broker.folder().join("seed");
    seed.write_new(&file).unwrap();
    let secret = std::fs::read_to_string(file).unwrap();
    let told = refused(&format!("post_build_command = \"push {}\"\n[repos.a]\n{URL}\n", secret.trim()));
    assert!(told.starts_with("FILE:1:1: here stands a seed") && !told.contains(secret.trim()), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let broker = Broker::start();
    let mut builder = HostBuilder::builder(&broker, "").flag("--config", "/missing/builder.toml").launch();
    assert_eq!(builder.ended().code(), Some(2));
    let said = builder.rest_of_log()[0].to_string();
    let expected = "could not read the builder's configuration /missing/builder.toml: No such file";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn a_file_can_be_checked_where_there_is_neither_a_key_nor_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("builder.toml");
    let check = |config: &str, code: i32| {
        std::fs::write(&file, config).unwrap();
        run(Command::new(binary()).args(["builder", "--check", "--config"]).arg(&file), code)
    };
    let checked = check(&format!("parallel = 2\n[repos.a]\n{URL}\n"), 0);
    assert_eq!(checked.out, format!("fine: {} can be used\n", file.display()));
    let refused = check("paralel = 2\n[repos.a]\nurl = \"x\"\n", 2);
    refused.complains(&[
        "builder.toml:1:1: unknown key \"paralel\" in the file; did you mean parallel?",
        "builder.toml:3:7: ",
    ]);
    // Without --check, it is to serve.
    run(Command::new(binary()).args(["builder", "--config"]).arg(&file), 2)
        .complains(&["--nats-url <URL>", "--nkey-file <FILE>"]);
}
