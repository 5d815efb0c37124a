//! `config check`: validates the file and everything it refers to.

use crate::common::{HostBuilder, NatsServer, RawClient, operator, run};
use crate::config_home::Home;
use homelab_deploy::keys::UserSeed;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_valid_file_is_reported_in_full() {
    let home = Home::with(
        r#"
context = "home"
[contexts.home]
nats_url = "nats://u:s3cret@nats.example.org"
nkey_file = "~/deployer.nkey"
tls_ca = "~/ca.pem"
hosts.ns1 = { tier = "prod" }
hosts.ns2 = { tier = "prod" }
aliases.dns = "both"
[contexts.lab]
nats_url = "nats://localhost"
[contexts.bare]
[contexts.far]
nats_url = "tls://far.example.org"
[aliases]
both = "deploy.prod.role.dns"
one = "ns1"
"#,
    );
    let seed = UserSeed::generate().unwrap();
    seed.write_new(&home.path().join("deployer.nkey")).unwrap();
    let authority = rcgen::generate_simple_self_signed(["home".to_owned()]).unwrap();
    fs::write(home.path().join("ca.pem"), authority.cert.pem()).unwrap();
    let checked = run(home.command().args(["config", "check"]), 0);
    assert!(!checked.stdout.contains(seed.expose()) && !checked.stdout.contains("s3cret"), "{checked}");
    let text = checked.stdout.replace(home.path().to_str().unwrap(), "HOME").replace(seed.public_key(), "U…");
    insta::assert_snapshot!(text);
}

#[test]
fn each_problem_is_reported_with_its_location() {
    let home = Home::with(
        r#"
context = "hmoe"
[contexts.home]
nats_url = "http://nats.example.org"
nkey_file = "~/open.nkey"
tls_ca = "/missing/ca.pem"
aliases.one = "two"
aliases.two = "one"
aliases.bad = "deploy.*.all"
[contexts.lab]
nats_url = "nats://nats.example.org"
nkey_file = "/missing/key"
tls_ca = "~/words.pem"
"#,
    );
    fs::write(home.path().join("words.pem"), "words\n").unwrap();
    let open = home.path().join("open.nkey");
    UserSeed::generate().unwrap().write_new(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let checked = run(home.command().args(["config", "check"]), 2);
    for (place, expected) in [
        ("2:11", "names the context hmoe, but"),
        ("5:13", "is readable by all users; run `chmod 600 "),
        ("4:12", "\"http://nats.example.org\" is not the URL of a NATS server"),
        ("6:10", "could not read tls_ca /missing/ca.pem: No such file"),
        ("7:15", "alias \"one\" refers to itself"),
        ("8:15", "alias \"two\" refers to itself"),
        ("9:15", "the target \"deploy.*.all\" has wildcards"),
        ("12:13", "could not read the key file /missing/key: No such file"),
        ("13:10", "words.pem contains no PEM certificate"),
    ] {
        let line =
            checked.stdout.lines().find(|line| line.starts_with(&format!("problem: {}: ", home.at(place))));
        assert!(line.is_some_and(|line| line.contains(expected)), "{place} {expected}\n{checked}");
    }
    assert_eq!(checked.stdout.lines().filter(|line| line.starts_with("problem: ")).count(), 9, "{checked}");
    checked.assert_stderr(&["error: found 9 problems"]);
}

#[test]
fn a_missing_file_is_not_a_problem() {
    let home = Home::without();
    let checked = run(home.command().args(["config", "check"]), 0);
    assert_eq!(checked.stdout, format!("{} does not exist: nothing to check\n", home.file().display()));
    home.write("[aliases]\nall = \"deploy.prod.all\"\n");
    let checked = run(home.command().args(["config", "check"]), 0);
    assert!(checked.stdout.contains("note: no contexts defined\n"), "{checked}");
    assert!(checked.stdout.contains("ok: alias all means the subject deploy.prod.all\n"), "{checked}");
}

/// The machine that builds another machine's configuration does not have the files that it names.
#[test]
fn another_file_can_be_checked_without_what_it_names() {
    let home = Home::without();
    let file = home.path().join("other.toml");
    let check = |text: &str, code: i32| {
        fs::write(&file, text).unwrap();
        run(home.command().args(["config", "check", "--file"]).arg(&file), code)
    };
    let names =
        "nkey_file = \"/missing/key\"\ntls_ca = \"/missing/ca\"\nflake_credentials = \"/missing/netrc\"\n";
    let checked = check(&format!("[contexts.home]\nnats_url = \"tls://nats.example.org\"\n{names}"), 0);
    assert_eq!(checked.stdout, format!("ok: {} is valid\n", file.display()));
    for (text, expected) in [
        (
            "[contexts.home]\nnatsurl = \"tls://h\"\n",
            "2:1: unknown key \"natsurl\" in [contexts.home]; did you mean nats_url?",
        ),
        ("[contexts.home]\nnats_url = \"http://h\"\n", "2:12: \"http://h\" is not the URL of a NATS server"),
        ("context = \"hmoe\"\n[contexts.home]\n", "1:11: "),
        ("[aliases]\na = \"a\"\n", "2:5: alias \"a\" refers to itself"),
        ("[contexts.home]\nallowed_flakes = [\"nixpkgs\"]\n", "2:18: \"nixpkgs\" is not a flake URL"),
    ] {
        let refused = check(text, 2);
        assert!(refused.stdout.contains(&format!("problem: {}:{expected}", file.display())), "{refused}");
    }
}

#[test]
fn a_server_whose_limits_are_too_low_is_a_problem() {
    let mut nats = NatsServer::start();
    let config =
        format!("[contexts.home]\nnats_url = {:?}\nnkey_file = {:?}\n", nats.url(), nats.key("tester"));
    let home = Home::with(&config);
    let check = |code| run(home.command().args(["config", "check", "--connect"]), code).stdout;
    assert!(check(0).contains(&format!("ok: home: connected to {}", nats.url())));
    let mut with = |limit: &str| {
        nats.stop();
        nats.restart_with(&format!("{limit}\n"));
    };
    with("max_payload: 4096");
    assert!(check(2).contains("accepts messages of at most 4096 bytes (max_payload)"), "{}", check(2));
    with("max_subscriptions: 3");
    let expected =
        "server error: maximum subscriptions exceeded; raise max_subscriptions in its configuration";
    assert!(check(2).contains(expected), "{}", check(2));
    with("max_connections: 1");
    let _other = RawClient::connect(&nats, "everything");
    let expected = "server error: maximum connections exceeded; raise max_connections in its configuration";
    assert!(check(2).contains(expected), "{}", check(2));
    let hosts = run(operator(&nats, "tester").arg("hosts"), 5);
    assert!(hosts.stderr.contains(expected), "{hosts}");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").launch();
    assert!(host.wait_for_log("not connected")["reason"].as_str().unwrap().contains(expected));
}
