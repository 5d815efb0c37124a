//! A fleet, a chat server, and `notify` between them.

use crate::chat_server::{ChatServer, Posted};
use crate::common::{Host, HostBuilder, NatsServer, RawClient, Signer};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;

pub(crate) struct Stage {
    pub(crate) notify: Host,
    pub(crate) chat: ChatServer,
    pub(crate) nats: NatsServer,
    seq: Cell<u64>,
}

/// A target that is a webhook at `/NAME`, with more keys.
pub(crate) fn webhook(chat: &ChatServer, name: &str, more: &str) -> String {
    format!("[targets.{name}]\nkind = \"webhook\"\nurl = \"{}\"\n{more}\n", chat.url(&format!("/{name}")))
}

/// The start of a configuration file: the keys of the hosts, and short times.
pub(crate) fn head(nats: &NatsServer) -> String {
    format!("fleet = \"{}\"\nend_after = \"1s\"\n", nats.fleet_file().display())
}

impl Stage {
    /// `notify` with one webhook named `ops`.
    pub(crate) fn new(chat: ChatServer, more: &str) -> Self {
        Self::with(chat, |chat| webhook(chat, "ops", more), |builder| builder)
    }

    /// `notify` with the targets that `targets` returns.
    pub(crate) fn with(
        chat: ChatServer,
        targets: impl FnOnce(&ChatServer) -> String,
        adapt: impl FnOnce(HostBuilder) -> HostBuilder,
    ) -> Self {
        let nats = NatsServer::start();
        let config = format!("{}{}", head(&nats), targets(&chat));
        let notify = adapt(HostBuilder::notify(&nats, &config)).start();
        Self::of(notify, chat, nats)
    }

    /// A stage of parts that run already.
    pub(crate) fn of(notify: Host, chat: ChatServer, nats: NatsServer) -> Self {
        Self { notify, chat, nats, seq: Cell::new(1) }
    }

    /// A report of a host, as its listener would send it.
    pub(crate) fn report(&self, host: &str, id: &str, status: &str) -> Value {
        let (_, tier, role) = crate::common::HOSTS.into_iter().find(|(name, ..)| *name == host).unwrap();
        self.seq.set(self.seq.get() + 1);
        json!({
            "hostname": host, "status": status, "error": null, "message": "done", "id": id, "tier": tier,
            "role": role, "action": "switch", "revision": "main", "instance": host, "seq": self.seq.get(),
            "at": jiff::Timestamp::now().to_string(), "elapsed_ms": 1500, "issuer": "alice@laptop",
            "commit": "3f2a91c0d4e5f60718293a4b5c6d7e8f90a1b2c3",
        })
    }

    /// Publishes a report on the host's own subject, signed with its key.
    pub(crate) fn send(&self, report: &Value) {
        let host = report["hostname"].as_str().unwrap();
        let wire = RawClient::connect(&self.nats, host);
        send_on(&wire, report);
    }

    /// Waits until `notify` has recorded that it has posted so many more notifications.
    pub(crate) fn recorded(&mut self, count: usize) {
        (0..count).for_each(|_| _ = self.notify.wait_for_log("posted notification"));
    }

    /// Publishes the result of a host. The next message must be the one about the end of its deployment.
    pub(crate) fn barrier(&self, id: &str) -> Posted {
        self.send(&self.report("db1", id, "completed"));
        let posted = self.chat.next();
        assert_eq!(posted.body["deployment"]["id"], id, "{posted:#?}");
        posted
    }

    /// Like [`Stage::barrier`], with other targets beside the webhook `ops`.
    pub(crate) fn barrier_among_others(&self, id: &str) {
        self.send(&self.report("db1", id, "completed"));
        while self.chat.next_at("/ops").body["deployment"]["id"] != id {}
    }
}

/// Publishes a report with the connection of its host.
pub(crate) fn send_on(wire: &RawClient, report: &Value) {
    let (host, id) = (report["hostname"].as_str().unwrap(), report["id"].as_str().unwrap());
    let subject = format!("deploy.responses.{id}.{host}");
    let payload = report.to_string().into_bytes();
    wire.publish_with_headers(
        &subject,
        None,
        &Signer::of(host).headers_for("report", &subject, &payload),
        &payload,
    );
}

/// Writes a file with a secret.
pub(crate) fn secret(directory: &Path, name: &str, content: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let file = directory.join(name);
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file.display().to_string()
}
