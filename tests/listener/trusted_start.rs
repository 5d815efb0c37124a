//! What a listener may be told to trust.

use crate::common::{Broker, HostBuilder, Signer};
use crate::stage::text;
use nkeys::KeyPair;

/// A listener with these further flags, which must not start: the last line that it says.
fn refused(broker: &Broker, flags: &[&str]) -> String {
    let mut host = HostBuilder::new(broker, "web1", "test", "web").args(flags).launch();
    assert_eq!(host.ended().code(), Some(2), "{flags:?}");
    text(&host.rest_of_log().pop().unwrap()).to_owned()
}

#[test]
fn what_is_no_public_key_of_a_user_is_refused_and_not_told_back() {
    let broker = Broker::start();
    let good = Signer::of("tester").key();
    let [account, server] = [KeyPair::new_account(), KeyPair::new_server()].map(|key| key.public_key());
    let seed = KeyPair::new_user().seed().unwrap();
    let other_seed = KeyPair::new_account().seed().unwrap();
    let changed = good.replace(&good[20..22], if &good[20..22] == "AA" { "BB" } else { "AA" });
    let write = "write the text starting with U that `homelab-deploy keys new` printed";
    for (value, expected) in [
        ("", format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        ("alice", format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&good[..55], format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&good.to_lowercase(), format!("--trusted-key: it is not a public key (codec failure); {write}")),
        (&changed, format!("--trusted-key: it is not a public key (checksum match failure); {write}")),
        (&account, format!("--trusted-key: it is the key of another kind, account; {write}")),
        (&server, format!("--trusted-key: it is the key of another kind, server; {write}")),
        (&seed[..30], format!("--trusted-key: it is not a public key (invalid key length); {write}")),
        (&seed, "--trusted-key holds a seed, which is secret: write the public key that belongs to it, the text starting with U, and make a new key if others have seen this".to_owned()),
        (&other_seed, "--trusted-key holds a seed, which is secret: write the public key".to_owned()),
        (&format!(" {seed}\n"), "--trusted-key holds a seed, which is secret: write the public key".to_owned()),
    ] {
        let said = refused(&broker, &["--trusted-key", value]);
        assert!(said.starts_with(&format!("error: {expected}")), "{value:?}: {said}");
        assert!(value.len() < 10 || !said.contains(value.trim()), "{said}");
        let said = refused(&broker, &["--trusted-key", &good, "--trusted-key", value]);
        let expected = expected.replacen("--trusted-key", "--trusted-key (number 2)", 1);
        assert!(said.starts_with(&format!("error: {expected}")), "{value:?}: {said}");
    }
}

#[test]
fn subjects_that_bring_a_request_twice_are_refused_where_keys_are_trusted() {
    let broker = Broker::start();
    let good = Signer::of("tester").key();
    let subjects = ["--deploy-subject", "deploy.<tier>.*", "--deploy-subject", "deploy.test.web1"];
    let said = refused(&broker, &[&subjects[..], &["--trusted-key", &good]].concat());
    let expected = "error: \"deploy.test.*\" and \"deploy.test.web1\" overlap, so that a request could come twice; \
        with --trusted-key leave one of them out";
    assert_eq!(said, expected);
    // The same key twice is fine, and so are such subjects without one.
    let key = broker.key("everything").display().to_string();
    let host = || HostBuilder::new(&broker, "web1", "test", "web").flag("--nkey-file", &key);
    drop(host().args(&["--trusted-key", &good, "--trusted-key", &format!(" {good} ")]).start());
    drop(host().args(&subjects).start());
    // What expands to the same subject is one.
    let same = ["--deploy-subject", "deploy.<tier>.<hostname>", "--deploy-subject", "deploy.test.web1"];
    drop(host().args(&same).args(&["--trusted-key", &good]).start());
}
