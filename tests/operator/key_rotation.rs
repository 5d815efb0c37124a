//! `keys rotate` in a running fleet, with the real server's permissions and hosts that switch one by one.

use crate::common::{
    CommandOutput, DEADLINE, FakeListener, Host, HostBuilder, NatsServer, RawClient, Signer, base_presence,
    binary, operator, run,
};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// A fleet during the rotation of an entry's key. The server accepts both keys.
struct Rotation {
    nats: NatsServer,
    /// Name of the entry.
    name: &'static str,
    /// The new seed file.
    seed: PathBuf,
    key: String,
}

impl Rotation {
    fn begin(name: &'static str) -> Self {
        let nats = NatsServer::start();
        let seed = nats.dir().join("new.nkey");
        let mut rotation = Self { nats, name, seed, key: String::new() };
        let seed = rotation.seed.display().to_string();
        let printed = rotation.rotate("viewer", &["--out", &seed], 0).stdout;
        printed.trim_end().clone_into(&mut rotation.key);
        rotation.reload();
        rotation
    }

    /// Runs `keys rotate` with the key of `user`.
    fn rotate(&self, user: &str, arguments: &[&str], code: i32) -> CommandOutput {
        let mut command = operator(&self.nats, user);
        command.args(["keys", "rotate", self.name, "--fleet-file"]).arg(self.nats.fleet_file());
        run(command.args(arguments), code)
    }

    /// Reloads the server with the output of `keys nats-config`.
    fn reload(&mut self) {
        let mut command = Command::new(binary());
        let printed = run(command.args(["keys", "nats-config"]).arg(self.nats.fleet_file()), 0).stdout;
        self.nats.reload(&printed);
    }

    /// Deploys with this seed.
    fn deploy(&self, seed: &Path, host: &str, code: i32) -> CommandOutput {
        run(operator(&self.nats, "tester").env("HOMELAB_DEPLOY_NKEY_FILE", seed).args(["deploy", host]), code)
    }

    fn host(&self, name: &str, keys: &[&str]) -> Host {
        let flags: Vec<_> = keys.iter().flat_map(|key| ["--trusted-key", *key]).collect();
        HostBuilder::new(&self.nats, name, "test", "web").args(&flags).start()
    }
}

#[test]
fn an_operators_key_ends_when_the_last_host_trusts_the_new_one() {
    let mut rotation = Rotation::begin("tester");
    let old_seed = rotation.nats.key("tester").to_owned();
    let (old, new) = (crate::common::Signer::of("tester").key(), rotation.key.clone());
    let mut web1 = rotation.host("web1", &[&old]);
    let mut web2 = rotation.host("web2", &[&old]);
    let _db1 = rotation.host("db1", &[]);

    // The server accepts both keys, the hosts only the old one.
    rotation.deploy(&old_seed, "web1", 0);
    let refused = rotation.deploy(&rotation.seed, "web1", 1);
    assert!(refused.stdout.contains(&format!("signed by {new}, which web1 does not trust")), "{refused}");
    rotation.deploy(&rotation.seed, "db1", 0);
    let status = rotation.rotate("tester", &["--status"], 1);
    let table = "HOST  KEYS\ndb1   does not check signatures\nold1  no answer\nweb1  trusts only the old one\n\
        web2  trusts only the old one\n";
    let expected = format!(
        "2 hosts (web1, web2) do not trust the new key yet: add {new} to the trusted keys there and deploy; old1 does not answer\n"
    );
    assert_eq!(status.stdout, format!("{table}{expected}"));

    // The hosts switch one by one.
    web1.add_args(&["--trusted-key", &new]);
    web1.restart();
    rotation.deploy(&old_seed, "web1", 0);
    rotation.deploy(&rotation.seed, "web1", 0);
    let before = fs::read_to_string(rotation.nats.fleet_file()).unwrap();
    let refused = rotation.rotate("tester", &["--finish"], 1);
    assert!(
        refused
            .stderr
            .starts_with("error: operators.tester keeps both keys: web2 does not trust the new key yet: "),
        "{refused}"
    );
    assert!(
        refused.stderr.ends_with("; old1 does not answer; to finish without asking the hosts, add --force\n"),
        "{refused}"
    );
    web2.add_args(&["--trusted-key", &new]);
    web2.restart();
    let silent = rotation.rotate("tester", &["--finish"], 3);
    assert_eq!(
        silent.stderr,
        "error: operators.tester keeps both keys: old1 does not answer; to finish without asking the hosts, add --force\n"
    );
    assert_eq!(fs::read_to_string(rotation.nats.fleet_file()).unwrap(), before);

    // The last host trusts only the new key. Any key may query the status.
    let _old1 = rotation.host("old1", &[&new]);
    let status = rotation.rotate("viewer", &["--status"], 0);
    assert!(status.stdout.contains("old1  trusts only the new one\nweb1  trusts both\n"), "{status}");
    assert!(
        status.stdout.contains("no host needs the old key: finish with `homelab-deploy keys rotate tester "),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 0);
    let text = fs::read_to_string(rotation.nats.fleet_file()).unwrap();
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
    let expected =
        "web1 does not use the new key yet: write the new seed to its --nkey-file and restart its listener\n";
    assert_eq!(status.stdout, format!("{table}{expected}"));
    // An operator who has recorded the old key and has no fleet file.
    let careful = |arguments: &[&str], code| {
        let mut command = operator(&rotation.nats, "viewer");
        run(command.env_remove("HOMELAB_DEPLOY_UNPROVEN").args(arguments), code)
    };
    careful(&["hosts"], 0);
    fs::copy(&rotation.seed, rotation.nats.key("web1")).unwrap();
    web1.restart();
    let file = rotation.nats.fleet_file().display().to_string();
    careful(&["keys", "rotate", "hosts.web1", "--fleet-file", &file, "--status"], 0);
    // The fleet file applied to that command only.
    assert!(careful(&["hosts"], 3).stdout.contains("changed"));
    let status = rotation.rotate("viewer", &["--status"], 0);
    assert!(
        status
            .stdout
            .starts_with("HOST  KEYS\nweb1  uses the new one\nthe host uses the new key: finish with `"),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 0);
    rotation.reload();
    rotation.deploy(rotation.nats.key("tester"), "web1", 0);
}

#[test]
fn a_reply_without_the_signature_of_the_host_does_not_count() {
    let rotation = Rotation::begin("hosts.web1");
    let mut presence = base_presence("web1", "test", "web");
    (presence["public_key"], presence["trusted_keys"]) = (json!(rotation.key), json!([]));
    let _other = FakeListener::start(&rotation.nats, presence, |_| vec![]);
    let status = rotation.rotate("viewer", &["--status"], 1);
    let row = "web1  unknown: its reply is not signed by a key of the fleet file\n";
    assert!(
        status.stdout.starts_with(&format!("HOST  KEYS\n{row}web1 does not use the new key yet: ")),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 1);
}

#[test]
fn a_host_that_names_the_new_key_and_signs_with_the_old_one_uses_that() {
    let rotation = Rotation::begin("hosts.web1");
    let key = rotation.key.clone();
    let wire = RawClient::connect(&rotation.nats, "web1");
    let asked = wire.subscribe("deploy.discover");
    let lying = thread::spawn(move || {
        while let Some(query) = asked.within(DEADLINE) {
            let mut presence = base_presence("web1", "test", "web");
            (presence["public_key"], presence["trusted_keys"]) = (json!(key), json!([]));
            let subject = format!("{}.web1", query.body["reply_to"].as_str().unwrap());
            let payload = presence.to_string().into_bytes();
            let signed = Signer::of("web1").headers_for("reply", &subject, &payload);
            wire.publish_with_headers(&subject, None, &signed, &payload);
            // Do not answer the last query, which names the host.
            if query.body["query"] == "host" {
                return;
            }
        }
    });
    let status = rotation.rotate("viewer", &["--status"], 1);
    assert!(status.stdout.starts_with("HOST  KEYS\nweb1  uses the old one\n"), "{status}");
    lying.join().unwrap();
}

#[test]
fn a_listener_that_does_not_list_its_trusted_keys_blocks_the_rotation() {
    let rotation = Rotation::begin("mcp");
    let _peer = FakeListener::start(&rotation.nats, base_presence("old1", "test", "legacy"), |_| vec![]);
    let stranger = crate::common::Signer::of("stranger").key();
    let _hosts = ["web1", "web2", "db1"].map(|name| rotation.host(name, &[&stranger]));
    let status = rotation.rotate("viewer", &["--status"], 1);
    let expected = "HOST  KEYS\ndb1   trusts neither\nold1  unknown: its listener is too old\nweb1  trusts neither\nweb2  trusts neither\n";
    assert!(
        status.stdout.starts_with(&format!("{expected}old1 does not trust the new key yet: ")),
        "{status}"
    );
    rotation.rotate("viewer", &["--finish"], 1);
    rotation.rotate("viewer", &["--finish", "--force"], 0);
}

#[test]
fn an_expired_operator_is_disconnected() {
    let mut nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let file = nats.fleet_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("[operators.tester]\n", "[operators.tester]\nexpires = 2026-02-28\n"))
        .unwrap();
    let printed = run(Command::new(binary()).args(["keys", "nats-config"]).arg(&file), 0);
    assert_eq!(
        printed.stderr,
        "warning: left out operators.tester, because it expired at 2026-03-01T00:00:00Z\n"
    );
    nats.reload(&printed.stdout);
    run(operator(&nats, "tester").args(["hosts"]), 5);
    run(operator(&nats, "admin").args(["deploy", "web1"]), 0);
    // A server without any users would accept everyone.
    let key = crate::common::Signer::of("tester").key();
    fs::write(
        &file,
        format!("[operators.al]\nkind = \"admin\"\nexpires = \"2026-02-28\"\npublic_key = {key:?}\n"),
    )
    .unwrap();
    let refused = run(Command::new(binary()).args(["keys", "nats-config"]).arg(&file), 2);
    let expected = format!(
        "error: {}: all entries have expired; give one a later `expires`, because a server without users accepts everyone\n",
        file.display()
    );
    assert_eq!((refused.stdout.as_str(), refused.stderr), ("", expected));
}
