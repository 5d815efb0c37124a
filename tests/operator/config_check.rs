//! `config check`: what the file names is tried, and what is fine is said plainly.

use crate::common::{Broker, HostBuilder, Wire, operator, run};
use crate::configured::Home;
use homelab_deploy::keys::Seed;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn what_is_fine_is_said_plainly() {
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
    let seed = Seed::generate().unwrap();
    seed.write_new(&home.path().join("deployer.nkey")).unwrap();
    let authority = rcgen::generate_simple_self_signed(["home".to_owned()]).unwrap();
    fs::write(home.path().join("ca.pem"), authority.cert.pem()).unwrap();
    let checked = run(home.command().args(["config", "check"]), 0);
    assert!(!checked.out.contains(seed.expose()) && !checked.out.contains("s3cret"), "{checked}");
    let text = checked.out.replace(home.path().to_str().unwrap(), "HOME").replace(seed.public_key(), "U…");
    insta::assert_snapshot!(text);
}

#[test]
fn each_problem_is_told_with_its_place() {
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
    Seed::generate().unwrap().write_new(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let checked = run(home.command().args(["config", "check"]), 2);
    for (place, said) in [
        ("2:11", "names the context hmoe, but"),
        ("5:13", "can be read by everybody; run `chmod 600 "),
        ("4:12", "\"http://nats.example.org\" is not the URL of a NATS server"),
        ("6:10", "could not read tls_ca /missing/ca.pem: No such file"),
        ("7:15", "the alias \"one\" leads back to itself"),
        ("8:15", "the alias \"two\" leads back to itself"),
        ("9:15", "the target \"deploy.*.all\" has wildcards"),
        ("12:13", "could not read the key file /missing/key: No such file"),
        ("13:10", "words.pem holds no certificate in PEM"),
    ] {
        let line =
            checked.out.lines().find(|line| line.starts_with(&format!("problem: {}: ", home.at(place))));
        assert!(line.is_some_and(|line| line.contains(said)), "{place} {said}\n{checked}");
    }
    assert_eq!(checked.out.lines().filter(|line| line.starts_with("problem: ")).count(), 9, "{checked}");
    checked.complains(&["error: 9 problems were found"]);
}

#[test]
fn no_file_is_no_problem() {
    let home = Home::without();
    let checked = run(home.command().args(["config", "check"]), 0);
    assert_eq!(checked.out, format!("there is no file {}: nothing to check\n", home.file().display()));
    home.write("[aliases]\nall = \"deploy.prod.all\"\n");
    let checked = run(home.command().args(["config", "check"]), 0);
    assert!(checked.out.contains("note: it has no contexts\n"), "{checked}");
    assert!(checked.out.contains("fine: alias all means the subject deploy.prod.all\n"), "{checked}");
}

/// A machine that builds the configuration of another has none of the files that it names.
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
    assert_eq!(checked.out, format!("fine: {} can be read\n", file.display()));
    for (text, expected) in [
        (
            "[contexts.home]\nnatsurl = \"tls://h\"\n",
            "2:1: unknown key \"natsurl\" in [contexts.home]; did you mean nats_url?",
        ),
        ("[contexts.home]\nnats_url = \"http://h\"\n", "2:12: \"http://h\" is not the URL of a NATS server"),
        ("context = \"hmoe\"\n[contexts.home]\n", "1:11: "),
        ("[aliases]\na = \"a\"\n", "2:5: the alias \"a\" leads back to itself"),
        ("[contexts.home]\nallowed_flakes = [\"nixpkgs\"]\n", "2:18: \"nixpkgs\" is not a flake URL"),
    ] {
        let refused = check(text, 2);
        assert!(refused.out.contains(&format!("problem: {}:{expected}", file.display())), "{refused}");
    }
}

#[test]
fn a_server_whose_limits_are_too_low_is_a_problem() {
    let mut broker = Broker::start();
    let config =
        format!("[contexts.home]\nnats_url = {:?}\nnkey_file = {:?}\n", broker.url(), broker.key("tester"));
    let home = Home::with(&config);
    let check = |code| run(home.command().args(["config", "check", "--connect"]), code).out;
    assert!(check(0).contains(&format!("fine: home: connected to {}", broker.url())));
    let mut with = |limit: &str| {
        broker.stop();
        broker.restart_with(&format!("{limit}\n"));
    };
    with("max_payload: 4096");
    assert!(check(2).contains("takes messages of at most 4096 bytes (max_payload)"), "{}", check(2));
    with("max_subscriptions: 3");
    let said =
        "the server says: maximum subscriptions exceeded; raise max_subscriptions in its configuration";
    assert!(check(2).contains(said), "{}", check(2));
    with("max_connections: 1");
    let _other = Wire::connect(&broker, "everything");
    let said = "the server says: maximum connections exceeded; raise max_connections in its configuration";
    assert!(check(2).contains(said), "{}", check(2));
    let hosts = run(operator(&broker, "tester").arg("hosts"), 5);
    assert!(hosts.err.contains(said), "{hosts}");
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").launch();
    assert!(host.logged("not connected")["reason"].as_str().unwrap().contains(said));
}
