//! Errors in the configuration file name the location and how to fix them.

use crate::common::run;
use crate::config_home::Home;
use homelab_deploy::keys::UserSeed;
use std::fs;

/// Content of a file, the location of the error in it, and parts of the message.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("context = \"home\"\nbranch = main\n", "2:10", &["string values must be quoted"]),
    ("context = \"a\"\ncontext = \"b\"\n", "2:1", &["duplicate key"]),
    ("[contexts.home\n", "1:15", &["unclosed table, expected `]`"]),
    (
        "[contexts.home]\nnats_ulr = \"x\"\n",
        "2:1",
        &["unknown key \"nats_ulr\" in [contexts.home]; did you mean nats_url?"],
    ),
    (
        "[contexts.home]\n  nkeyfile = \"x\"\n",
        "2:3",
        &["unknown key \"nkeyfile\"", "did you mean nkey_file?"],
    ),
    ("[contexts.home]\nconfirm-tiers = []\n", "2:1", &["did you mean confirm_tiers?"]),
    ("[contexts.home]\nzebra = 1\n", "2:1", &["expected one of nats_url, nkey_file, tls_ca,"]),
    ("contxts = 1\n", "1:1", &["unknown key \"contxts\" in the file; did you mean contexts?"]),
    ("nats_url = \"nats://a\"\n", "1:1", &["unknown key \"nats_url\" in the file; expected one of context,"]),
    ("[console]\nmuose = true\n", "2:1", &["unknown key \"muose\" in [console]; did you mean mouse?"]),
    (
        "[contexts.h.hosts]\nns1 = { tier = \"prod\", rol = \"dns\" }\n",
        "2:24",
        &["in hosts.ns1; did you mean role?"],
    ),
    ("[contexts.home]\nnats_url = 4222\n", "2:12", &["nats_url: expected a quoted string, found a number"]),
    (
        "[contexts.home]\nallowed_flakes = \"x\"\n",
        "2:18",
        &["allowed_flakes: expected a list of quoted strings, found a string"],
    ),
    (
        "[contexts.home]\nallowed_flakes = [1]\n",
        "2:19",
        &["allowed_flakes: expected a quoted string, found a number"],
    ),
    ("[contexts.home]\nnats_url = \"\"\n", "2:12", &["nats_url: it is empty"]),
    (
        "confirm_tiers = \"prod\"\n",
        "1:17",
        &["confirm_tiers: expected a list, as in [\"prod\"], found a string"],
    ),
    ("confirm_tiers = [\"prod\", 2]\n", "1:26", &["confirm_tiers: expected a quoted string, found a number"]),
    ("confirm_tiers = [\"all\"]\n", "1:18", &["confirm_tiers: \"all\" is a reserved word"]),
    ("contexts = \"home\"\n", "1:12", &["contexts: expected a table, found a string"]),
    ("contexts.home = true\n", "1:17", &["contexts.home: expected a table, found a boolean"]),
    ("[contexts.\"my home\"]\n", "1:11", &["contexts.my home: \"my home\" is not a name"]),
    ("context = \"my home\"\n", "1:11", &["context: \"my home\" is not a name"]),
    (
        "branch = \"a..b\"\n",
        "1:10",
        &["branch: \"a..b\" is not a revision: git allows no `..`, `//` or `@{` in a name"],
    ),
    ("[contexts.h]\nhosts.ns1 = \"prod\"\n", "2:13", &["hosts.ns1: expected a table, found a string"]),
    (
        "[contexts.h]\nhosts.ns1 = { role = \"dns\" }\n",
        "2:7",
        &["hosts.ns1 has no tier; write { tier = \"prod\" }"],
    ),
    ("[contexts.h]\nhosts.all = { tier = \"prod\" }\n", "2:7", &["hosts.all: \"all\" is a reserved word"]),
    ("[contexts.h]\nhosts.ns1 = { tier = \"a.b\" }\n", "2:22", &["hosts.ns1.tier: \"a.b\" is not a name"]),
    ("[aliases]\nx = 1\n", "2:5", &["aliases.x: expected a quoted string, found a number"]),
    ("[aliases]\n\"a b\" = \"ns1\"\n", "2:1", &["aliases.a b: \"a b\" is not a name"]),
    ("[aliases]\na-b = \"ns1\"\na_b = \"ns2\"\n", "3:7", &["aliases.a_b: it is the same alias as a-b"]),
    ("[console]\nmouse = \"yes\"\n", "2:9", &["console.mouse: expected true or false, found a string"]),
    (
        "[console]\nshell = \"ssh\"\n",
        "2:9",
        &["console.shell: it must say where {host} belongs, as in \"ssh {host}\""],
    ),
    ("[contexts.h]\ntls_cert = \"/c\"\n", "2:12", &["tls_cert has no tls_key; write both, or neither"]),
    (
        "[contexts.h]\nnkey_file = \"~root/key\"\n",
        "2:13",
        &["nkey_file: only ~/ is supported: write an absolute path"],
    ),
    ("# übermäßig\n[contexts.home]\nbranch = \"ä:\" # ü\n", "3:10", &["branch: \"ä:\" is not a revision"]),
];

#[test]
fn each_error_is_reported_with_its_location() {
    for (text, place, expected) in WRONG {
        let home = Home::with(text);
        let refused = run(home.command().arg("hosts"), 2);
        refused.assert_stderr(&[&format!("error: {}: ", home.at(place))]);
        refused.assert_stderr(expected);
        // `config check` reports the same problem.
        let checked = run(home.command().args(["config", "check"]), 2);
        assert!(checked.stdout.contains(&format!("problem: {}: ", home.at(place))), "{checked}");
        checked.assert_stderr(&["error: found 1 problem"]);
    }
}

#[test]
fn each_command_reads_the_file() {
    let home = Home::with("zebra = 1\n");
    let commands: [&[&str]; 10] = [
        &["hosts"],
        &["deploy", "ns1"],
        &["diff", "ns1"],
        &["rollback", "ns1"],
        &["cancel", "ns1"],
        &["status"],
        &["logs", "ns1"],
        &["history"],
        &["tui", "--snapshot"],
        &["config", "show"],
    ];
    for command in commands {
        run(home.command().args(command), 2).assert_stderr(&["unknown key \"zebra\""]);
    }
}

#[test]
fn commands_report_one_of_several_problems_and_the_check_reports_all() {
    let home = Home::with("zebra = 1\n[contexts.home]\nnats_url = 1\nbranch = \"a..b\"\n");
    let refused = run(home.command().arg("hosts"), 2);
    refused.assert_stderr(&[&home.at("1:1"), "(and 2 more; `homelab-deploy config check` lists them)"]);
    let checked = run(home.command().args(["config", "check"]), 2);
    let places: Vec<_> = checked.stdout.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(places, [home.at("1:1"), home.at("3:12"), home.at("4:10")]);
    checked.assert_stderr(&["found 3 problems"]);
}

#[test]
fn a_seed_in_the_file_is_never_repeated() {
    let seed = UserSeed::generate().unwrap();
    for line in ["nkey_file = \"SEED\"", "SEED = 1", "# SEED", "nkey_file = SEED"] {
        let home = Home::with(&format!("[contexts.home]\n{}\n", line.replace("SEED", seed.expose())));
        for command in [&["hosts"][..], &["config", "show"], &["config", "check"]] {
            let refused = run(home.command().args(command), 2);
            let all = format!("{}{}", refused.stdout, refused.stderr);
            assert!(
                all.contains(&format!(
                    "{}: expected a path or a public key but found a seed",
                    home.at("2:1")
                )),
                "{refused}"
            );
            assert!(!all.contains(seed.expose()), "{refused}");
        }
    }
    let home = Home::without();
    let refused = run(home.command().args(["config", "show", "--nkey-file", seed.expose()]), 2);
    refused.assert_stderr(&[
        "--nkey-file: expected a path but found a seed: write the seed to a file and put its path here",
    ]);
    assert!(!refused.stderr.contains(seed.expose()), "{refused}");
}

#[test]
fn an_unreadable_file_is_reported() {
    let home = Home::without();
    fs::create_dir_all(home.file()).unwrap();
    for command in [&["hosts"][..], &["config", "check"], &["config", "show"]] {
        let refused = run(home.command().args(command), 2);
        let expected =
            format!("could not read the configuration file {}: Is a directory", home.file().display());
        refused.assert_stderr(&[&expected, "; make it readable, or move it away"]);
    }
    fs::remove_dir(home.file()).unwrap();
    fs::write(home.file(), [0xff, 0xfe]).unwrap();
    run(home.command().arg("hosts"), 2).assert_stderr(&["stream did not contain valid UTF-8"]);
}

#[test]
fn the_config_file_is_below_home_by_default_and_absent_without_a_home() {
    let home = Home::without();
    let below_home = home.path().join(".config/homelab-deploy/config.toml");
    fs::create_dir_all(below_home.parent().unwrap()).unwrap();
    fs::write(&below_home, "zebra = 1\n").unwrap();
    for relative in [None, Some("relative")] {
        let mut command = home.command();
        command.env_remove("XDG_CONFIG_HOME").envs(relative.map(|path| ("XDG_CONFIG_HOME", path)));
        run(command.arg("hosts"), 2).assert_stderr(&[&format!("{}:1:1: unknown key", below_home.display())]);
    }
    // A file in the working directory is not read either.
    let mut command = home.command();
    command.env_remove("XDG_CONFIG_HOME").env_remove("HOME").current_dir(home.path());
    run(command.arg("hosts"), 2)
        .assert_stderr(&["no NATS server configured", "~/.config/homelab-deploy/config.toml"]);
}
