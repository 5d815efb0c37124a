//! What most tests start from: a broker, the listener of `web1`, and a deployer of its tier that speaks plain JSON.

use crate::common::{Broker, Ears, Host, HostBuilder, Wire, eventually, runs};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub(crate) struct Stage {
    pub(crate) wire: Wire,
    pub(crate) host: Host,
    pub(crate) broker: Broker,
}

impl Stage {
    /// A host whose rebuild program is this script.
    pub(crate) fn new(script: &str) -> Self {
        Self::with(script, |host| host)
    }

    /// A host that `adapt` has changed before it starts.
    pub(crate) fn with(script: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::on(Broker::start(), script, adapt)
    }

    /// The same on a server that was started for it.
    pub(crate) fn on(broker: Broker, script: &str, adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        let wire = Wire::connect(&broker, "tester");
        let presence = wire.listen("deploy.responses.presence");
        let host = adapt(HostBuilder::new(&broker, "web1", "test", "web").script(script)).start();
        // Said after it has subscribed, on the same connection.
        presence.next();
        Self { wire, host, broker }
    }

    /// Starts the listener once more, as after a crash.
    pub(crate) fn restart(&mut self) {
        self.host.kill();
        let presence = self.wire.listen("deploy.responses.presence");
        self.host.restart();
        presence.next();
    }

    /// Kills the listener and makes it look as if a job had been begun before the host booted.
    pub(crate) fn began_before_the_boot(&mut self, id: &str) {
        self.host.kill();
        let mut record = self.record(id);
        record["external_command"]["boot_id"] = json!("another boot");
        fs::write(self.job_file(id, "state.json"), record.to_string()).unwrap();
    }

    /// Sends a request to switch to `master`, changed by `fields`, and gives what comes back.
    pub(crate) fn deploy(&self, id: &str, fields: Value) -> Ears {
        let reports = self.wire.listen(&format!("deploy.responses.{id}"));
        self.send(id, fields);
        reports
    }

    /// The same without listening.
    pub(crate) fn send(&self, id: &str, fields: Value) {
        let reply_to = format!("deploy.responses.{id}");
        let request = json!({"action": "switch", "revision": "master", "reply_to": reply_to});
        self.wire.say("deploy.test.web1", &changed(request, fields));
    }

    /// Deploys and expects success.
    pub(crate) fn completes(&self, id: &str) -> Value {
        let report = self.deploy(id, json!({})).verdict();
        assert_eq!(report["status"], "completed", "{report}");
        report
    }

    /// Asks to cancel a job and gives the answer.
    pub(crate) fn cancel(&self, id: &str, job: &str) -> Value {
        self.deploy(id, json!({"action": "cancel", "job": job})).verdict()
    }

    /// Asks this host something and gives its answer.
    pub(crate) fn ask(&self, fields: Value) -> Value {
        let reply_to = format!("deploy.responses.ask.{}", uuid::Uuid::now_v7());
        let answers = self.wire.listen(&reply_to);
        self.wire.say("deploy.discover", &changed(json!({"reply_to": reply_to}), fields));
        answers.next().body
    }

    /// A file of a job in the state directory.
    pub(crate) fn job_file(&self, id: &str, name: &str) -> PathBuf {
        self.host.file("state/jobs").join(id).join(name)
    }

    /// The record of a job as it lies on disk.
    pub(crate) fn record(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.job_file(id, "state.json")).unwrap()).unwrap()
    }

    /// How often the program has written a line to `$DIR/calls`.
    pub(crate) fn calls(&self) -> usize {
        fs::read_to_string(self.host.file("calls")).unwrap_or_default().lines().count()
    }

    /// Waits until it is noted that the verdict of a job has reached the server.
    pub(crate) fn told(&self, id: &str) {
        let note = self.job_file(id, "sent.json");
        eventually("the note that a verdict was told", || note.exists().then_some(()));
    }

    /// Waits until the process whose number is in this file is gone.
    pub(crate) fn gone(&self, pid_file: &str) {
        let pid = self.host.pid(pid_file);
        eventually("a process ending", || (!runs(pid)).then_some(()));
    }
}

/// `fields` over `object`; null is the same as absent.
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

/// The text of a JSON string; empty for anything else.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The end of the log that the report of a failure quotes, without what runs and is free on this machine.
pub(crate) fn quoted_log(report: &Value) -> &str {
    let told = text(&report["diagnostics"]);
    told.split_once("\n-- now runs ").map_or(told, |(log, _)| log)
}

/// The lines of a script that say these phase lines.
pub(crate) fn saying(lines: &[Value]) -> String {
    lines
        .iter()
        .fold(String::new(), |script, line| script + "echo '@homelab-deploy " + &line.to_string() + "'\n")
}

/// The phase line of a program, as a shell command.
pub(crate) fn phase(name: &str) -> String {
    saying(&[json!({"phase": name})])
}
