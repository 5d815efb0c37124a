//! What is wrong in the configuration file is told with its place, and what to write instead.

use crate::common::run;
use crate::configured::Home;
use homelab_deploy::keys::Seed;
use std::fs;

/// A text, the place of what is wrong in it, and what is said.
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
    ("[contexts.home]\nzebra = 1\n", "2:1", &["the keys there are nats_url, nkey_file, tls_ca,"]),
    ("contxts = 1\n", "1:1", &["unknown key \"contxts\" in the file; did you mean contexts?"]),
    (
        "nats_url = \"nats://a\"\n",
        "1:1",
        &["unknown key \"nats_url\" in the file; the keys there are context,"],
    ),
    ("[console]\nmuose = true\n", "2:1", &["unknown key \"muose\" in [console]; did you mean mouse?"]),
    (
        "[contexts.h.hosts]\nns1 = { tier = \"prod\", rol = \"dns\" }\n",
        "2:24",
        &["in hosts.ns1; did you mean role?"],
    ),
    ("[contexts.home]\nnats_url = 4222\n", "2:12", &["nats_url is a number; write a text in quotes"]),
    (
        "[contexts.home]\nallowed_flakes = \"x\"\n",
        "2:18",
        &["allowed_flakes is a text; write a list of texts in quotes"],
    ),
    (
        "[contexts.home]\nallowed_flakes = [1]\n",
        "2:19",
        &["allowed_flakes is a number; write a text in quotes"],
    ),
    ("[contexts.home]\nnats_url = \"\"\n", "2:12", &["nats_url: it is empty"]),
    ("confirm_tiers = \"prod\"\n", "1:17", &["confirm_tiers is a text; write a list, as in [\"prod\"]"]),
    ("confirm_tiers = [\"prod\", 2]\n", "1:26", &["confirm_tiers is a number; write a text in quotes"]),
    ("confirm_tiers = [\"all\"]\n", "1:18", &["confirm_tiers: \"all\" is a reserved word"]),
    ("contexts = \"home\"\n", "1:12", &["contexts is a text; write a table"]),
    ("contexts.home = true\n", "1:17", &["contexts.home is true or false; write a table"]),
    ("[contexts.\"my home\"]\n", "1:11", &["contexts.my home: \"my home\" is not a name"]),
    ("context = \"my home\"\n", "1:11", &["context: \"my home\" is not a name"]),
    (
        "branch = \"a..b\"\n",
        "1:10",
        &["branch: \"a..b\" is not a revision: git allows no `..`, `//` or `@{` in a name"],
    ),
    ("[contexts.h]\nhosts.ns1 = \"prod\"\n", "2:13", &["hosts.ns1 is a text; write a table"]),
    (
        "[contexts.h]\nhosts.ns1 = { role = \"dns\" }\n",
        "2:7",
        &["hosts.ns1 has no tier; write { tier = \"prod\" }"],
    ),
    ("[contexts.h]\nhosts.all = { tier = \"prod\" }\n", "2:7", &["hosts.all: \"all\" is a reserved word"]),
    ("[contexts.h]\nhosts.ns1 = { tier = \"a.b\" }\n", "2:22", &["hosts.ns1.tier: \"a.b\" is not a name"]),
    ("[aliases]\nx = 1\n", "2:5", &["aliases.x is a number; write a text in quotes"]),
    ("[aliases]\n\"a b\" = \"ns1\"\n", "2:1", &["aliases.a b: \"a b\" is not a name"]),
    ("[aliases]\na-b = \"ns1\"\na_b = \"ns2\"\n", "3:7", &["aliases.a_b: it is the same alias as a-b"]),
    ("[console]\nmouse = \"yes\"\n", "2:9", &["console.mouse is a text; write true or false"]),
    (
        "[console]\nshell = \"ssh\"\n",
        "2:9",
        &["console.shell: it must say where {host} belongs, as in \"ssh {host}\""],
    ),
    ("[contexts.h]\ntls_cert = \"/c\"\n", "2:12", &["tls_cert has no tls_key; write both, or neither"]),
    (
        "[contexts.h]\nnkey_file = \"~root/key\"\n",
        "2:13",
        &["nkey_file: only ~/ is understood: write the whole path"],
    ),
    ("# übermäßig\n[contexts.home]\nbranch = \"ä:\" # ü\n", "3:10", &["branch: \"ä:\" is not a revision"]),
];

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, place, said) in WRONG {
        let home = Home::with(text);
        let refused = run(home.command().arg("hosts"), 2);
        refused.complains(&[&format!("error: {}: ", home.at(place))]);
        refused.complains(said);
        // The check says the same.
        let checked = run(home.command().args(["config", "check"]), 2);
        assert!(checked.out.contains(&format!("problem: {}: ", home.at(place))), "{checked}");
        checked.complains(&["error: 1 problem was found"]);
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
        run(home.command().args(command), 2).complains(&["unknown key \"zebra\""]);
    }
}

#[test]
fn one_of_several_faults_is_told_and_the_check_tells_all() {
    let home = Home::with("zebra = 1\n[contexts.home]\nnats_url = 1\nbranch = \"a..b\"\n");
    let refused = run(home.command().arg("hosts"), 2);
    refused.complains(&[&home.at("1:1"), "(and 2 more; `homelab-deploy config check` lists them)"]);
    let checked = run(home.command().args(["config", "check"]), 2);
    let places: Vec<_> = checked.out.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(places, [home.at("1:1"), home.at("3:12"), home.at("4:10")]);
    checked.complains(&["3 problems were found"]);
}

#[test]
fn a_seed_in_the_file_is_never_repeated() {
    let seed = Seed::generate().unwrap();
    for line in ["nkey_file = \"SEED\"", "SEED = 1", "# SEED", "nkey_file = SEED"] {
        let home = Home::with(&format!("[contexts.home]\n{}\n", line.replace("SEED", seed.expose())));
        for command in [&["hosts"][..], &["config", "show"], &["config", "check"]] {
            let refused = run(home.command().args(command), 2);
            let all = format!("{}{}", refused.out, refused.err);
            assert!(all.contains(&format!("{}: here stands a seed", home.at("2:1"))), "{refused}");
            assert!(!all.contains(seed.expose()), "{refused}");
        }
    }
    let home = Home::without();
    let refused = run(home.command().args(["config", "show", "--nkey-file", seed.expose()]), 2);
    refused.complains(&["--nkey-file holds a seed itself: write the seed into a file, and name that file"]);
    assert!(!refused.err.contains(seed.expose()), "{refused}");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let home = Home::without();
    fs::create_dir_all(home.file()).unwrap();
    for command in [&["hosts"][..], &["config", "check"], &["config", "show"]] {
        let refused = run(home.command().args(command), 2);
        let said = format!("could not read the configuration {}: Is a directory", home.file().display());
        refused.complains(&[&said, "; make it readable, or move it away"]);
    }
    fs::remove_dir(home.file()).unwrap();
    fs::write(home.file(), [0xff, 0xfe]).unwrap();
    run(home.command().arg("hosts"), 2).complains(&["stream did not contain valid UTF-8"]);
}

#[test]
fn it_lies_below_home_where_no_folder_is_named_and_nowhere_without_a_home() {
    let home = Home::without();
    let below_home = home.path().join(".config/homelab-deploy/config.toml");
    fs::create_dir_all(below_home.parent().unwrap()).unwrap();
    fs::write(&below_home, "zebra = 1\n").unwrap();
    for relative in [None, Some("relative")] {
        let mut command = home.command();
        command.env_remove("XDG_CONFIG_HOME").envs(relative.map(|path| ("XDG_CONFIG_HOME", path)));
        run(command.arg("hosts"), 2).complains(&[&format!("{}:1:1: unknown key", below_home.display())]);
    }
    // Not even one that lies where we stand.
    let mut command = home.command();
    command.env_remove("XDG_CONFIG_HOME").env_remove("HOME").current_dir(home.path());
    run(command.arg("hosts"), 2)
        .complains(&["no NATS server is named", "~/.config/homelab-deploy/config.toml"]);
}
