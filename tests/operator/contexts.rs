//! Selection of a context and precedence of settings.

use crate::common::{HostBuilder, NatsServer, RawClient, Terminal, run};
use crate::config_home::{Home, context};
use std::fs;
use std::process::Command;

/// The file has the server and the key, so that no flag or variable is needed.
#[test]
fn a_context_gives_server_key_and_branch() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    let home = Home::of(&nats, "tester", "branch = \"release\"");
    let branch = |command: &mut Command| {
        run(command, 0);
        requests.next().body["revision"].as_str().unwrap().to_owned()
    };
    for command in ["deploy", "diff"] {
        let new_command = || {
            let mut run = home.command();
            run.args([command, "web1"]);
            run
        };
        assert_eq!(branch(&mut new_command()), "release");
        assert_eq!(branch(new_command().env("HOMELAB_DEPLOY_BRANCH", "next")), "next");
        assert_eq!(branch(new_command().env("HOMELAB_DEPLOY_BRANCH", "next").args(["--branch", "v2"])), "v2");
    }
    home.write(&format!("branch = \"main\"\n{}", context(&nats, "tester", "")));
    assert_eq!(branch(home.command().args(["deploy", "web1"])), "main");
    home.write(&format!("branch = \"main\"\n{}", context(&nats, "tester", "branch = \"own\"")));
    assert_eq!(branch(home.command().args(["deploy", "web1"])), "own");
    home.write(&context(&nats, "tester", ""));
    assert_eq!(branch(home.command().args(["deploy", "web1"])), "master");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let nats = NatsServer::start();
    let nowhere = "[contexts.home]\nnats_url = \"nats://127.0.0.1:1\"\nnkey_file = \"/missing/of-file\"\n";
    let home = Home::with(nowhere);
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let key = nats.key("viewer").to_str().unwrap().to_owned();

    let refused = run(home.command().arg("hosts"), 2);
    refused.assert_stderr(&[&format!("{}: could not read the key file /missing/of-file", home.at("3:13"))]);
    let mut command = home.command();
    command.env("HOMELAB_DEPLOY_NKEY_FILE", &key);
    run(command.arg("hosts"), 5).assert_stderr(&["could not connect to nats://127.0.0.1:1"]);
    run(command.env("HOMELAB_DEPLOY_NATS_URL", nats.url()), 0);
    run(command.args(["--nkey-file", "/missing/of-flag"]), 2).assert_stderr(&["/missing/of-flag"]);
    let mut command = home.command();
    command.env("HOMELAB_DEPLOY_NKEY_FILE", "/missing/of-variable").arg("hosts");
    run(&mut command, 2).assert_stderr(&["/missing/of-variable"]);
    run(command.args(["--nkey-file", &key, "--nats-url", &nats.url()]), 0);
}

#[test]
fn the_context_is_that_of_the_flag_the_environment_the_file_or_the_only_one() {
    let home = Home::without();
    let contexts = |names: &[&str]| {
        let lines = |name: &&str| {
            format!("[contexts.{name}]\nnats_url = \"nats://127.0.0.1:1/{name}\"\nbranch = \"of-{name}\"\n")
        };
        names.iter().map(lines).collect::<String>()
    };
    let branch = |command: &mut Command| {
        let shown = run(command.args(["config", "show", "--output", "json"]), 0).json();
        let of = |name: &str| shown.iter().find(|row| row["name"] == name).unwrap()["value"].clone();
        (of("context").as_str().map(str::to_owned), of("branch").as_str().unwrap().to_owned())
    };
    let is = |name: &str| (Some(name.to_owned()), format!("of-{name}"));
    home.write(&contexts(&["a"]));
    assert_eq!(branch(&mut home.command()), is("a"));
    home.write(&contexts(&["a", "b", "c"]));
    assert_eq!(branch(&mut home.command()), (None, "master".to_owned()));
    home.write(&format!("context = \"b\"\n{}", contexts(&["a", "b", "c"])));
    assert_eq!(branch(&mut home.command()), is("b"));
    assert_eq!(branch(home.command().env("HOMELAB_DEPLOY_CONTEXT", "c")), is("c"));
    let mut flag = home.command();
    flag.env("HOMELAB_DEPLOY_CONTEXT", "c").args(["config", "show", "--context", "a", "--output", "json"]);
    assert!(run(&mut flag, 0).stdout.contains("\"of-a\""));
}

#[test]
fn a_context_that_is_not_there_lists_those_that_are() {
    let home = Home::with("context = \"hmoe\"\n[contexts.home]\n[contexts.lab]\n");
    let file = home.file().display().to_string();
    let hosts = |args: &[&str]| run(home.command().arg("hosts").args(args), 2);
    hosts(&[]).assert_stderr(&[&format!(
        "{file} names the context hmoe, but {file} has no such context; it has home, lab"
    )]);
    hosts(&["--context", "x"]).assert_stderr(&["--context names the context x, but", "it has home, lab"]);
    hosts(&["--context", "a.b"]).assert_stderr(&["--context", "is not a name"]);
    let variable = run(home.command().env("HOMELAB_DEPLOY_CONTEXT", "y").arg("hosts"), 2);
    variable.assert_stderr(&["HOMELAB_DEPLOY_CONTEXT names the context y, but"]);
    home.write("branch = \"main\"\n");
    hosts(&["--context", "x"]).assert_stderr(&["has no contexts; add [contexts.x] with a nats_url"]);
    fs::remove_file(home.file()).unwrap();
    hosts(&["--context", "x"]).assert_stderr(&["does not exist; add [contexts.x] with a nats_url"]);
}

#[test]
fn a_missing_server_is_reported_with_every_way_to_set_it() {
    let home = Home::with("[contexts.home]\nbranch = \"main\"\n");
    let expected = "no NATS server configured: give --nats-url, set HOMELAB_DEPLOY_NATS_URL, or ";
    let file = home.file().display().to_string();
    run(home.command().arg("hosts"), 2)
        .assert_stderr(&[expected, &format!("or set nats_url in [contexts.home] of {file}")]);
    home.write("[contexts.home]\n[contexts.lab]\n");
    let several = run(home.command().arg("hosts"), 2);
    several.assert_stderr(&[expected, &format!("or select a context of {file} with --context (home, lab)")]);
}

#[test]
fn an_invalid_value_of_the_file_names_its_location() {
    let home = Home::without();
    for (lines, place, expected) in [
        ("nats_url = \"http://nats\"", "2:12", "\"http://nats\" is not the URL of a NATS server"),
        ("nats_url = \"nats://nats.example.org\"", "2:12", "no key for nats://nats.example.org:4222"),
        (
            "nats_url = \"nats://[::1]\"\ntls_ca = \"/missing\"",
            "3:10",
            "could not read tls_ca /missing: No such file",
        ),
        (
            "nats_url = \"nats://[::1]\"\nnkey_file = \"~/key\"",
            "3:13",
            "could not read the key file HOME/key: No such",
        ),
        (
            "nats_url = \"nats://[::1]\"\nnkey_file = \"key\"",
            "3:13",
            "key file HOME/config/homelab-deploy/key: No such",
        ),
    ] {
        home.write(&format!("[contexts.home]\n{lines}\n"));
        let expected = expected.replace("HOME", home.path().to_str().unwrap());
        run(home.command().arg("hosts"), 2).assert_stderr(&[&home.at(place), &expected]);
    }
}

#[test]
fn an_inventory_belongs_to_its_context() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let home = Home::of(&nats, "viewer", "");
    let inventories = || {
        let files = fs::read_dir(home.path().join("state/homelab-deploy/inventory")).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    run(home.command().arg("hosts"), 0);
    assert_eq!(inventories(), ["home.json"]);
    fs::remove_file(home.file()).unwrap();
    let mut command = home.command();
    command.env("HOMELAB_DEPLOY_NATS_URL", nats.url()).env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("viewer"));
    run(command.arg("hosts"), 0);
    let of_server = format!("{}.json", nats.url().replace([':', '/'], "_"));
    assert_eq!(inventories(), ["home.json".to_owned(), of_server]);
}

#[test]
fn the_file_sets_the_confirmed_tiers() {
    let nats = NatsServer::start();
    let _hosts = [("ns1", "prod"), ("web1", "test")]
        .map(|(name, tier)| HostBuilder::new(&nats, name, tier, "any").start());
    let home = Home::of(&nats, "admin", "confirm_tiers = [\"test\", \"lab\"]");
    let deploy = |host: &str, code| run(home.command().args(["deploy", host]), code);
    deploy("web1", 2).assert_stderr(&["this deploys to test, which must be confirmed: add --yes"]);
    deploy("ns1", 0);
    let mut asked = Terminal::start(home.command().args(["deploy", "web1"]));
    asked.shows("Continue? Type yes:");
    asked.types("yes\n");
    assert_eq!(asked.wait_for_exit().code, 0);

    home.write(&format!("confirm_tiers = []\n{}", context(&nats, "admin", "")));
    deploy("ns1", 0);
    home.write(&context(&nats, "admin", ""));
    deploy("ns1", 2).assert_stderr(&["this deploys to prod, which must be confirmed"]);
}

#[test]
fn nats_hosts_of_the_file_come_last() {
    let nats = NatsServer::start();
    let _hosts = ["db1", "web1", "web2"].map(|name| HostBuilder::new(&nats, name, "test", "any").start());
    let home = Home::of(&nats, "admin", "nats_hosts = [\"db1\"]");
    let deploy = || {
        let args = ["deploy", "--all", "--tier", "test", "--batch", "2", "--no-pin", "--output", "json"];
        let lines = run(home.command().args(args), 0).json();
        let batches = lines.into_iter().filter(|line| line["event"] == "batch");
        batches.map(|line| line["value"]["hosts"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(deploy(), [r#"["web1","web2"]"#, r#"["db1"]"#]);
    // An empty list overrides the host name in the server URL.
    home.write(&context(&nats, "admin", "nats_hosts = []"));
    assert_eq!(deploy(), [r#"["db1","web1"]"#, r#"["web2"]"#]);
}

#[test]
fn aliases_of_the_file_are_targets_and_the_environment_wins() {
    let nats = NatsServer::start();
    let _hosts = ["web1", "web2"].map(|name| HostBuilder::new(&nats, name, "test", "web").start());
    let wire = RawClient::connect(&nats, "everything");
    let requests = wire.subscribe("deploy.test.>");
    let top = "[aliases]\nall = \"deploy.test.all\"\nsite = \"web2\"\n";
    let own = "aliases.site = \"web1\"\naliases.front-end = \"site\"";
    let home = Home::with(&format!("{}\n{top}", context(&nats, "tester", own)));
    let subject = |target: &str, variable: &[(&str, &str)]| {
        run(home.command().args(["deploy", target]).envs(variable.iter().copied()), 0);
        requests.next().subject
    };
    assert_eq!(subject("all", &[]), "deploy.test.all");
    assert_eq!(subject("site", &[]), "deploy.test.web1");
    assert_eq!(subject("front-end", &[]), "deploy.test.web1");
    assert_eq!(subject("FRONT_END", &[]), "deploy.test.web1");
    assert_eq!(subject("site", &[("HOMELAB_DEPLOY_ALIAS_SITE", "web2")]), "deploy.test.web2");
    assert_eq!(subject("front-end", &[("HOMELAB_DEPLOY_ALIAS_SITE", "web2")]), "deploy.test.web2");
    assert_eq!(subject("site", &[("HOMELAB_DEPLOY_ALIAS_SITE", "")]), "deploy.test.web1");
}

#[test]
fn an_alias_loop_through_the_file_names_the_file() {
    let home = Home::with(
        "[contexts.home]\nnats_url = \"nats://127.0.0.1:1\"\n[aliases]\none = \"two\"\ntwo = \"one\"\n",
    );
    let refused = run(home.command().args(["deploy", "one"]), 2);
    refused.assert_stderr(&["alias \"one\" refers to itself: "]);
    let way = format!("one is two ({}), two is one ({}); change one of them", home.at("4:7"), home.at("5:7"));
    refused.assert_stderr(&[&way]);
    let mut mixed = home.command();
    mixed.env("HOMELAB_DEPLOY_ALIAS_TWO", "ONE");
    home.write("[contexts.home]\nnats_url = \"nats://127.0.0.1:1\"\n[aliases]\none = \"two\"\n");
    run(mixed.args(["deploy", "one"]), 2).assert_stderr(&[&home.at("4:7"), "HOMELAB_DEPLOY_ALIAS_TWO"]);
}
