//! Fake hosts on one connection. Each has a configured behavior, and requests are recorded in order.

use crate::common::{DEADLINE, NatsServer, RawClient, base_presence};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// How a host handles a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Completes,
    Fails,
    Rejects,
    /// Ignores requests but answers queries.
    Ignores,
    /// Starts, and completes when [`FakeHosts::release`] is called.
    Waits,
}

/// A fake host.
#[derive(Debug, Clone)]
pub(crate) struct FakeHost {
    pub(crate) answer: Value,
    pub(crate) behavior: Behavior,
}

impl FakeHost {
    pub(crate) fn new(name: &str, role: &str, behavior: Behavior) -> Self {
        let mut answer = base_presence(name, "test", role);
        answer["version"] = json!("1");
        answer["instance"] = json!(name);
        answer["capabilities"] = json!(["build", "rollback", "reboot", "cancel"]);
        Self { answer, behavior }
    }

    /// Sets a field of its presence.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.answer[field] = value.into();
        self
    }

    fn name(&self) -> &str {
        self.answer["hostname"].as_str().unwrap()
    }
}

/// Running fake hosts.
pub(crate) struct FakeHosts {
    requests: Receiver<(String, Value)>,
    go: Sender<()>,
    wire: RawClient,
    task: Option<JoinHandle<()>>,
}

impl FakeHosts {
    /// Starts these hosts.
    pub(crate) fn start(nats: &NatsServer, members: Vec<FakeHost>) -> Self {
        let (own, wire) = (RawClient::connect(nats, "everything"), RawClient::connect(nats, "everything"));
        let heard = own.subscribe("deploy.>");
        own.round_trip();
        let (into, requests) = channel();
        let (go, gone) = channel();
        let task = std::thread::spawn(move || {
            while let Some(heard) = heard.within(10 * DEADLINE) {
                let to = heard.body["reply_to"].as_str().unwrap_or_default().to_owned();
                match heard.subject.split('.').collect::<Vec<_>>()[..] {
                    ["deploy", "discover"] if heard.body["query"].is_null() => {
                        for member in &members {
                            own.publish(&to, &member.answer);
                        }
                    }
                    ["deploy", "test", "end"] => return,
                    ["deploy", "test", host] => {
                        let Some(member) = members.iter().find(|member| member.name() == host) else {
                            continue;
                        };
                        let _ = into.send((host.to_owned(), heard.body.clone()));
                        let wait = || gone.recv().is_ok();
                        reply(&own, &to, member, &heard.body, &wait);
                    }
                    _ => {}
                }
            }
        });
        Self { requests, go, wire, task: Some(task) }
    }

    /// The hosts that received requests since the last call, in order.
    pub(crate) fn requested_hosts(&self) -> Vec<String> {
        self.requests.try_iter().map(|(host, _)| host).collect()
    }

    /// Waits for the next request and returns its host and body.
    pub(crate) fn request(&self) -> (String, Value) {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Lets one waiting host complete.
    pub(crate) fn release(&self) {
        self.go.send(()).unwrap();
    }
}

fn reply(wire: &RawClient, to: &str, member: &FakeHost, request: &Value, wait: &dyn Fn() -> bool) {
    let id = to.rsplit('.').next().unwrap();
    let report = |seq: u64, status: &str, error: Option<&str>| {
        let report = json!({
            "hostname": member.name(), "tier": "test", "status": status, "error": error, "message": format!("it {status}"),
            "id": id, "seq": seq, "action": request["action"], "revision": request["revision"], "instance": member.name(),
        });
        wire.publish(to, &report);
    };
    match member.behavior {
        Behavior::Ignores => {}
        Behavior::Rejects => report(1, "rejected", Some("already_running")),
        Behavior::Completes => {
            report(1, "started", None);
            report(2, "completed", None);
        }
        Behavior::Fails => {
            report(1, "started", None);
            report(2, "failed", Some("build_failed"));
        }
        Behavior::Waits => {
            report(1, "started", None);
            if wait() {
                report(2, "completed", None);
            }
        }
    }
}

impl Drop for FakeHosts {
    fn drop(&mut self) {
        self.wire.publish("deploy.test.end", &json!({}));
        // Closing the channel ends hosts that still wait.
        let (go, _) = channel();
        self.go = go;
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}
