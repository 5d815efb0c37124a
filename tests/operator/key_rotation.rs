//! A key is replaced in a running fleet: with the real server's permissions, and hosts that come one after the other.

use crate::common::{
    Broker, DEADLINE, Ended, Host, HostBuilder, Peer, Signer, Wire, base_answer, binary, operator, run,
};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// A fleet in which the key of an entry is being replaced, and the server knows both.
struct Rotation {
    broker: Broker,
    /// The entry.
    name: &'static str,
    /// The seed and the public key that are new.
    seed: PathBuf,
    key: String,
}

impl Rotation {
    fn begin(name: &'static str) -> Self {
        let broker = Broker::start();
        let seed = broker.folder().join("new.nkey");
        let mut rotation = Self { broker, name, seed, key: String::new() };
        let seed = rotation.seed.display().to_string();
        let printed = rotation.rotate("viewer", &["--out", &seed], 0).out;
        printed.trim_end().clone_into(&mut rotation.key);
        rotation.reload();
        rotation
    }

    /// Calls `keys rotate` with the key of `user`.
    fn rotate(&self, user: &str, arguments: &[&str], code: i32) -> Ended {
        let mut command = operator(&self.broker, user);
        command.args(["keys", "rotate", self.name, "--fleet-file"]).arg(self.broker.fleet_file());
        run(command.args(arguments), code)
    }

    /// Gives the server what `keys nats-config` prints.
    fn reload(&mut self) {
        let mut command = Command::new(binary());
        let printed = run(command.args(["keys", "nats-config"]).arg(self.broker.fleet_file()), 0).out;
        self.broker.reload(&printed);
    }

    /// Deploys with a seed.
    fn deploy(&self, seed: &Path, host: &str, code: i32) -> Ended {
        run(
            operator(&self.broker, "tester").env("HOMELAB_DEPLOY_NKEY_FILE", seed).args(["deploy", host]),
            code,
        )
    }

    fn host(&self, name: &str, keys: &[&str]) -> Host {
        let flags: Vec<_> = keys.iter().flat_map(|key| ["--trusted-key", *key]).collect();
        HostBuilder::new(&self.broker, name, "test", "web").args(&flags).start()
    }
}

#[test]
fn an_operators_key_ends_when_the_last_host_trusts_the_new_one() {
    let mut rotation = Rotation::begin("tester");
    let old_seed = rotation.broker.key("tester").to_owned();
    let (old, new) = (crate::common::Signer::of("tester").key(), rotation.key.clone());
    let mut web1 = rotation.host("web1", &[&old]);
    let mut web2 = rotation.host("web2", &[&old]);
    let _db1 = rotation.host("db1", &[]);

    // The server takes both; the hosts only the old one.
    rotation.deploy(&old_seed, "web1", 0);
    let refused = rotation.deploy(&rotation.seed, "web1", 1);
    assert!(refused.out.contains(&format!("signed by {new}, which web1 does not trust")), "{refused}");
    rotation.deploy(&rotation.seed, "db1", 0);
    let status = rotation.rotate("tester", &["--status"], 1);
    let table = "HOST  KEYS\ndb1   leaves that to the NATS server\nold1  no answer\nweb1  trusts the old one alone\n\
        web2  trusts the old one alone\n";
    let expected = format!(
        "2 hosts (web1, web2) do not trust the new key yet: add {new} to the trusted keys there, and deploy; old1 does not answer\n"
    );
    assert_eq!(status.out, format!("{table}{expected}"));

    // One host after the other.
    web1.add_args(&["--trusted-key", &new]);
    web1.restart();
    rotation.deploy(&old_seed, "web1", 0);
    rotation.deploy(&rotation.seed, "web1", 0);
    let before = fs::read_to_string(rotation.broker.fleet_file()).unwrap();
    let refused = rotation.rotate("tester", &["--finish"], 1);
    assert!(
        refused
            .err
            .starts_with("error: operators.tester keeps both keys: web2 does not trust the new key yet: "),
        "{refused}"
    );
    assert!(
        refused.err.ends_with("; old1 does not answer; or finish without asking, with --force\n"),
        "{refused}"
    );
    web2.add_args(&["--trusted-key", &new]);
    web2.restart();
    let silent = rotation.rotate("tester", &["--finish"], 3);
    assert_eq!(
        silent.err,
        "error: operators.tester keeps both keys: old1 does not answer; or finish without asking, with --force\n"
    );
    assert_eq!(fs::read_to_string(rotation.broker.fleet_file()).unwrap(), before);

    // The last one has the new key alone, and any key may ask.
    let _old1 = rotation.host("old1", &[&new]);
    let status = rotation.rotate("viewer", &["--status"], 0);
    assert!(status.out.contains("old1  trusts the new one alone\nweb1  trusts both\n"), "{status}");
    assert!(
        status
            .out
            .contains("no host needs the old key any more: finish with `homelab-deploy keys rotate tester "),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 0);
    let text = fs::read_to_string(rotation.broker.fleet_file()).unwrap();
    assert!(!text.contains(&old) && text.contains(&format!("public_key = {new:?}\n")), "{text}");
    rotation.reload();
    rotation.deploy(&old_seed, "web1", 5);
    rotation.deploy(&rotation.seed, "web1", 0);
}

#[test]
fn a_host_uses_its_new_key_before_the_old_one_ends() {
    let mut rotation = Rotation::begin("hosts.web1");
    let mut web1 = rotation.host("web1", &[]);
    let status = rotation.rotate("viewer", &["--status"], 1);
    let table = "HOST  KEYS\nweb1  uses the old one\n";
    let expected = "web1 does not use the new key yet: put the new seed into its --nkey-file, and restart its listener\n";
    assert_eq!(status.out, format!("{table}{expected}"));
    // An operator who knows the old key, and no file.
    let careful = |arguments: &[&str], code| {
        let mut command = operator(&rotation.broker, "viewer");
        run(command.env_remove("HOMELAB_DEPLOY_UNPROVEN").args(arguments), code)
    };
    careful(&["hosts"], 0);
    fs::copy(&rotation.seed, rotation.broker.key("web1")).unwrap();
    web1.restart();
    let file = rotation.broker.fleet_file().display().to_string();
    careful(&["keys", "rotate", "hosts.web1", "--fleet-file", &file, "--status"], 0);
    // The file was named for this command only.
    assert!(careful(&["hosts"], 3).out.contains("changed"));
    let status = rotation.rotate("viewer", &["--status"], 0);
    assert!(
        status.out.starts_with("HOST  KEYS\nweb1  uses the new one\nit uses the new key: finish with `"),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 0);
    rotation.reload();
    rotation.deploy(rotation.broker.key("tester"), "web1", 0);
}

#[test]
fn what_is_said_in_the_name_of_a_host_without_its_signature_does_not_count() {
    let rotation = Rotation::begin("hosts.web1");
    let mut said = base_answer("web1", "test", "web");
    (said["public_key"], said["trusted_keys"]) = (json!(rotation.key), json!([]));
    let _other = Peer::start(&rotation.broker, said, |_| vec![]);
    let status = rotation.rotate("viewer", &["--status"], 1);
    let row = "web1  not known: its reply is not signed by a key of the fleet file\n";
    assert!(
        status.out.starts_with(&format!("HOST  KEYS\n{row}web1 does not use the new key yet: ")),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 1);
}

#[test]
fn a_host_that_names_the_new_key_and_signs_with_the_old_one_uses_that() {
    let rotation = Rotation::begin("hosts.web1");
    let key = rotation.key.clone();
    let wire = Wire::connect(&rotation.broker, "web1");
    let asked = wire.listen("deploy.discover");
    let lying = thread::spawn(move || {
        while let Some(query) = asked.within(DEADLINE) {
            let mut said = base_answer("web1", "test", "web");
            (said["public_key"], said["trusted_keys"]) = (json!(key), json!([]));
            let subject = format!("{}.web1", query.body["reply_to"].as_str().unwrap());
            let payload = said.to_string().into_bytes();
            let signed = Signer::of("web1").headers_for("reply", &subject, &payload);
            wire.say_with(&subject, None, &signed, &payload);
            // Asked by name, the last time.
            if query.body["want"] == "host" {
                return;
            }
        }
    });
    let status = rotation.rotate("viewer", &["--status"], 1);
    assert!(status.out.starts_with("HOST  KEYS\nweb1  uses the old one\n"), "{status}");
    lying.join().unwrap();
}

#[test]
fn a_listener_that_does_not_say_which_keys_it_trusts_is_waited_for() {
    let rotation = Rotation::begin("mcp");
    let _peer = Peer::start(&rotation.broker, base_answer("old1", "test", "legacy"), |_| vec![]);
    let stranger = crate::common::Signer::of("stranger").key();
    let _hosts = ["web1", "web2", "db1"].map(|name| rotation.host(name, &[&stranger]));
    let status = rotation.rotate("viewer", &["--status"], 1);
    let expected = "HOST  KEYS\ndb1   trusts neither\nold1  does not say: its listener is too old\nweb1  trusts neither\nweb2  trusts neither\n";
    assert!(status.out.starts_with(&format!("{expected}old1 does not trust the new key yet: ")), "{status}");
    rotation.rotate("viewer", &["--finish"], 1);
    rotation.rotate("viewer", &["--finish", "--force"], 0);
}

#[test]
fn an_operator_whose_time_is_over_is_cut_off() {
    let mut broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let file = broker.fleet_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[operators.tester]\n", "[operators.tester]\nexpires = 2026-02-28\n"))
        .unwrap();
    let printed = run(Command::new(binary()).args(["keys", "nats-config"]).arg(&file), 0);
    assert_eq!(
        printed.err,
        "warning: operators.tester is left out, because it expired at 2026-03-01T00:00:00Z\n"
    );
    broker.reload(&printed.out);
    run(operator(&broker, "tester").args(["hosts"]), 5);
    run(operator(&broker, "admin").args(["deploy", "web1"]), 0);
    // With nobody left the server would let everybody in.
    let key = crate::common::Signer::of("tester").key();
    fs::write(
        &file,
        format!("[operators.al]\nkind = \"admin\"\nexpires = \"2026-02-28\"\npublic_key = {key:?}\n"),
    )
    .unwrap();
    let refused = run(Command::new(binary()).args(["keys", "nats-config"]).arg(&file), 2);
    let expected = format!(
        "error: {}: every entry has expired; give one a later `expires`, because a server without any user lets everybody in\n",
        file.display()
    );
    assert_eq!((refused.out.as_str(), refused.err), ("", expected));
}
