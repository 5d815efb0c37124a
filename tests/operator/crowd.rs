//! Many hosts written by hand, on one connection: each ends a request as it is told to, and who was asked when is kept.

use crate::common::{Broker, DEADLINE, Wire, base_answer};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What a host makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Completes,
    Fails,
    Rejects,
    /// It says nothing to requests, though it answers questions.
    IsMute,
    /// It begins, and ends when [`Crowd::let_go`] is called.
    Waits,
}

/// One host.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) answer: Value,
    pub(crate) how: How,
}

impl Member {
    pub(crate) fn new(name: &str, role: &str, how: How) -> Self {
        let mut answer = base_answer(name, "test", role);
        answer["version"] = json!("1");
        answer["instance"] = json!(name);
        answer["capabilities"] = json!(["build", "rollback", "reboot", "cancel"]);
        Self { answer, how }
    }

    /// With this in its answer.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.answer[field] = value.into();
        self
    }

    fn name(&self) -> &str {
        self.answer["hostname"].as_str().unwrap()
    }
}

/// The hosts.
pub(crate) struct Crowd {
    requests: Receiver<(String, Value)>,
    go: Sender<()>,
    wire: Wire,
    task: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Hosts that listen from now on.
    pub(crate) fn start(broker: &Broker, members: Vec<Member>) -> Self {
        let (own, wire) = (Wire::connect(broker, "everything"), Wire::connect(broker, "everything"));
        let heard = own.listen("deploy.>");
        own.round_trip();
        let (into, requests) = channel();
        let (go, gone) = channel();
        let task = std::thread::spawn(move || {
            while let Some(heard) = heard.within(10 * DEADLINE) {
                let to = heard.body["reply_to"].as_str().unwrap_or_default().to_owned();
                match heard.subject.split('.').collect::<Vec<_>>()[..] {
                    ["deploy", "discover"] if heard.body["want"].is_null() => {
                        for member in &members {
                            own.say(&to, &member.answer);
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

    /// Everybody who was asked so far and not told of before, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests.try_iter().map(|(host, _)| host).collect()
    }

    /// The next request, with its host.
    pub(crate) fn request(&self) -> (String, Value) {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Lets one host end that waits.
    pub(crate) fn let_go(&self) {
        self.go.send(()).unwrap();
    }
}

fn reply(wire: &Wire, to: &str, member: &Member, request: &Value, wait: &dyn Fn() -> bool) {
    let id = to.rsplit('.').next().unwrap();
    let say = |seq: u64, status: &str, error: Option<&str>| {
        let report = json!({
            "hostname": member.name(), "tier": "test", "status": status, "error": error, "message": format!("it {status}"),
            "id": id, "seq": seq, "action": request["action"], "revision": request["revision"], "instance": member.name(),
        });
        wire.say(to, &report);
    };
    match member.how {
        How::IsMute => {}
        How::Rejects => say(1, "rejected", Some("already_running")),
        How::Completes => {
            say(1, "started", None);
            say(2, "completed", None);
        }
        How::Fails => {
            say(1, "started", None);
            say(2, "failed", Some("build_failed"));
        }
        How::Waits => {
            say(1, "started", None);
            if wait() {
                say(2, "completed", None);
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.wire.say("deploy.test.end", &json!({}));
        // A host that still waits waits no more.
        let (go, _) = channel();
        self.go = go;
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}
