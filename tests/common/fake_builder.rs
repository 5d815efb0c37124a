//! A handwritten builder: it speaks JSON as the protocol describes it, and may misbehave.

use super::{DEADLINE, NatsServer, RawClient};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// A builder that replies to each request according to a script.
pub struct FakeBuilder {
    requests: Receiver<(String, Value)>,
    wire: RawClient,
    task: Option<JoinHandle<()>>,
}

impl FakeBuilder {
    pub fn start(nats: &NatsServer, script: impl Fn(&Value) -> Vec<Value> + Send + 'static) -> Self {
        let (own, wire) = (RawClient::connect(nats, "everything"), RawClient::connect(nats, "everything"));
        let heard = own.subscribe("build.>");
        let (into, requests) = channel();
        let task = std::thread::spawn(move || {
            while let Some(heard) = heard.within(10 * DEADLINE) {
                match heard.subject.as_str() {
                    "build.end" => return,
                    subject if subject.starts_with("build.responses.") => {}
                    subject => {
                        let _ = into.send((subject.to_owned(), heard.body.clone()));
                        for reply in script(&heard.body) {
                            own.publish(heard.body["reply_to"].as_str().unwrap(), &reply);
                        }
                    }
                }
            }
        });
        Self { requests, wire, task: Some(task) }
    }

    /// Returns the next request, with its subject.
    pub fn request(&self) -> (String, Value) {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    pub fn publish(&self, to: &str, report: &Value) {
        self.wire.publish(to, report);
    }
}

impl Drop for FakeBuilder {
    fn drop(&mut self) {
        self.wire.publish("build.end", &json!({}));
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}

/// Creates a report about these hosts, each a name and a state.
pub fn build_report(request: &Value, seq: u64, status: &str, hosts: &[(&str, &str)]) -> Value {
    let hosts = hosts.iter().map(|(host, state)| {
        let mut host = json!({"hostname": host, "state": state, "elapsed_ms": 1200});
        match *state {
            "done" => {
                host["system"] =
                    json!(format!("/nix/store/abc-nixos-system-{}", host["hostname"].as_str().unwrap()));
            }
            "failed" => {
                host["error"] = json!("build of foo-1.2 failed");
                host["log_tail"] = json!("cc: fatal\nmake: *** [all] Error 1");
            }
            _ => {}
        }
        host
    });
    json!({
        "target": request["target"], "repo": "fleet", "status": status, "error": null, "message": "", "id": request["id"],
        "seq": seq, "commit": "3f2a91c0d5b84e6f8a7c1d2e3f4a5b6c7d8e9f01", "hosts": hosts.collect::<Vec<_>>(),
    })
}
