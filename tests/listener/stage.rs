//! The setup of most tests: a NATS server, the listener of `web1`, and a deployer of its tier that sends plain JSON.

use crate::common::{Host, HostBuilder, NatsServer, RawClient, RawSubscription, eventually, is_running};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub(crate) struct Stage {
    pub(crate) wire: RawClient,
    pub(crate) host: Host,
    pub(crate) nats: NatsServer,
}

impl Stage {
    /// A host whose external command is this script.
    pub(crate) fn new(script: &str) -> Self {
        Self::with(script, |host| host)
    }

    /// Like [`Stage::new`], with a host that `adapt` configures.
    pub(crate) fn with(script: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::on(NatsServer::start(), script, adapt)
    }

    /// Like [`Stage::with`], on an existing server.
    pub(crate) fn on(nats: NatsServer, script: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        let wire = RawClient::connect(&nats, "tester");
        let presence = wire.subscribe("deploy.responses.presence");
        let host = adapt(HostBuilder::new(&nats, "web1", "test", "web").script(script)).start();
        // Sent after the listener has subscribed, on the same connection.
        presence.next();
        Self { wire, host, nats }
    }

    /// Kills the listener and starts it again.
    pub(crate) fn restart(&mut self) {
        self.host.kill();
        let presence = self.wire.subscribe("deploy.responses.presence");
        self.host.restart();
        presence.next();
    }

    /// Kills the listener and changes a job's record as if the host had rebooted since the job started.
    pub(crate) fn pretend_reboot(&mut self, id: &str) {
        self.host.kill();
        let mut record = self.record(id);
        record["external_command"]["boot_id"] = json!("another boot");
        fs::write(self.job_file(id, "state.json"), record.to_string()).unwrap();
    }

    /// Sends a request to switch to `master`, changed by `fields`, and returns its reports.
    pub(crate) fn deploy(&self, id: &str, fields: Value) -> RawSubscription {
        let reports = self.wire.subscribe(&format!("deploy.responses.{id}"));
        self.send(id, fields);
        reports
    }

    /// Like [`Stage::deploy`], without a subscription.
    pub(crate) fn send(&self, id: &str, fields: Value) {
        let reply_to = format!("deploy.responses.{id}");
        let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        self.wire.publish("deploy.test.web1", &changed(request, fields));
    }

    /// Deploys and expects success.
    pub(crate) fn completes(&self, id: &str) -> Value {
        let report = self.deploy(id, json!({})).final_report();
        assert_eq!(report["status"], "completed", "{report}");
        report
    }

    /// Sends a cancel for a job and returns its final report.
    pub(crate) fn cancel(&self, id: &str, job: &str) -> Value {
        self.deploy(id, json!({"action": "cancel", "job": job})).final_report()
    }

    /// Sends a query to this host and returns the reply.
    pub(crate) fn query(&self, fields: Value) -> Value {
        let reply_to = format!("deploy.responses.ask.{}", uuid::Uuid::now_v7());
        let replies = self.wire.subscribe(&reply_to);
        self.wire.publish("deploy.discover", &changed(json!({"reply_to": reply_to}), fields));
        replies.next().body
    }

    /// A file of a job in the state directory.
    pub(crate) fn job_file(&self, id: &str, name: &str) -> PathBuf {
        self.host.file("state/jobs").join(id).join(name)
    }

    /// The record of a job on disk.
    pub(crate) fn record(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.job_file(id, "state.json")).unwrap()).unwrap()
    }

    /// Number of lines in `$DIR/calls`, one for each call of the program.
    pub(crate) fn calls(&self) -> usize {
        fs::read_to_string(self.host.file("calls")).unwrap_or_default().lines().count()
    }

    /// Waits until the result of a job is marked as delivered.
    pub(crate) fn wait_delivered(&self, id: &str) {
        let mark = self.job_file(id, "delivered.json");
        eventually("a result marked as delivered", || mark.exists().then_some(()));
    }

    /// Waits for the end of the process whose id is in this file.
    pub(crate) fn gone(&self, pid_file: &str) {
        let pid = self.host.pid(pid_file);
        eventually("a process ending", || (!is_running(pid)).then_some(()));
    }
}

/// `object` with `fields` added or replaced; null is the same as absent.
pub(crate) fn changed(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, value) in fields {
        object[name] = value;
    }
    object
}

/// `name: state` of each phase that was not skipped.
pub(crate) fn phases(report: &Value) -> Vec<String> {
    let phases = report["phases"].as_array().unwrap().iter();
    let shown = phases.filter(|phase| phase["state"] != "skipped");
    shown.map(|phase| format!("{}: {}", text(&phase["name"]), text(&phase["state"]))).collect()
}

/// A JSON string; empty for other values.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The part of the diagnostics that quotes the log, without the facts about this machine.
pub(crate) fn quoted_log(report: &Value) -> &str {
    let diagnostics = text(&report["diagnostics"]);
    diagnostics.split_once("\n-- now runs ").map_or(diagnostics, |(log, _)| log)
}

/// Shell commands that print these progress markers.
pub(crate) fn marker_commands(lines: &[Value]) -> String {
    lines
        .iter()
        .fold(String::new(), |script, line| script + "echo '@homelab-deploy " + &line.to_string() + "'\n")
}

/// A shell command that prints the progress marker of a phase.
pub(crate) fn phase(name: &str) -> String {
    marker_commands(&[json!({"phase": name})])
}
