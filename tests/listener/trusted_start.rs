//! Values of `--trusted-key` that a listener accepts or refuses at the start.

use crate::common::{HostBuilder, NatsServer, Signer};
use crate::stage::text;
use nkeys::KeyPair;

/// Starts a listener that must refuse these additional flags; returns its last log line.
fn refused(nats: &NatsServer, flags: &[&str]) -> String {
    let mut host = HostBuilder::new(nats, "web1", "test", "web").args(flags).launch();
    assert_eq!(host.wait_for_exit().code(), Some(2), "{flags:?}");
    text(&host.rest_of_log().pop().unwrap()).to_owned()
}

#[test]
fn an_invalid_public_key_is_refused_and_not_repeated() {
    let nats = NatsServer::start();
    let good = Signer::of("tester").key();
    let [account, server] = [KeyPair::new_account(), KeyPair::new_server()].map(|key| key.public_key());
    let seed = KeyPair::new_user().seed().unwrap();
    let other_seed = KeyPair::new_account().seed().unwrap();
    let changed = good.replace(&good[20..22], if &good[20..22] == "AA" { "BB" } else { "AA" });
    let write = "write the key starting with U that `homelab-deploy keys new` printed";
    for (value, expected) in [
        ("", format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        ("alice", format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&good[..55], format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&good.to_lowercase(), format!("--trusted-key: it is not a public key (codec failure); {write}")),
        (&changed, format!("--trusted-key: it is not a public key (checksum match failure); {write}")),
        (&account, format!("--trusted-key: it is a key of type account, expected a user key; {write}")),
        (&server, format!("--trusted-key: it is a key of type server, expected a user key; {write}")),
        (&seed[..30], format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&seed, "--trusted-key: expected a public key but found a seed, which is secret: give the matching public key, which starts with U, and generate a new key if others may have seen the seed".to_owned()),
        (&other_seed, "--trusted-key: expected a public key but found a seed, which is secret: give the matching public key".to_owned()),
        (&format!(" {seed}\n"), "--trusted-key: expected a public key but found a seed, which is secret: give the matching public key".to_owned()),
    ] {
        let error = refused(&nats, &["--trusted-key", value]);
        assert!(error.starts_with(&format!("error: {expected}")), "{value:?}: {error}");
        assert!(value.len() < 10 || !error.contains(value.trim()), "{error}");
        let error = refused(&nats, &["--trusted-key", &good, "--trusted-key", value]);
        let expected = expected.replacen("--trusted-key", "--trusted-key (number 2)", 1);
        assert!(error.starts_with(&format!("error: {expected}")), "{value:?}: {error}");
    }
}

#[test]
fn overlapping_subjects_are_refused_if_keys_are_trusted() {
    let nats = NatsServer::start();
    let good = Signer::of("tester").key();
    let subjects = ["--deploy-subject", "deploy.<tier>.*", "--deploy-subject", "deploy.test.web1"];
    let error = refused(&nats, &[&subjects[..], &["--trusted-key", &good]].concat());
    let expected = "error: \"deploy.test.*\" and \"deploy.test.web1\" overlap, so a request could arrive twice; \
        remove one of them, or --trusted-key";
    assert_eq!(error, expected);
    // A repeated key is accepted, and so are overlapping subjects without a trusted key.
    let key = nats.key("everything").display().to_string();
    let host = || HostBuilder::new(&nats, "web1", "test", "web").flag("--nkey-file", &key);
    drop(host().args(&["--trusted-key", &good, "--trusted-key", &format!(" {good} ")]).start());
    drop(host().args(&subjects).start());
    // Templates that expand to the same subject do not overlap.
    let same = ["--deploy-subject", "deploy.<tier>.<hostname>", "--deploy-subject", "deploy.test.web1"];
    drop(host().args(&same).args(&["--trusted-key", &good]).start());
}
