//! A builder written by hand: it speaks JSON as PROTOCOL describes it, and may misbehave.

use super::{Broker, DEADLINE, Wire};
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

/// A builder that says to each request what its script says.
pub struct Builder {
    requests: Receiver<(String, Value)>,
    wire: Wire,
    task: Option<JoinHandle<()>>,
}

impl Builder {
    pub fn start(broker: &Broker, script: impl Fn(&Value) -> Vec<Value> + Send + 'static) -> Self {
        let (own, wire) = (Wire::connect(broker, "everything"), Wire::connect(broker, "everything"));
        let heard = own.listen("build.>");
        let (into, requests) = channel();
        let task = std::thread::spawn(move || {
            while let Some(heard) = heard.within(10 * DEADLINE) {
                match heard.subject.as_str() {
                    "build.end" => return,
                    subject if subject.starts_with("build.responses.") => {}
                    subject => {
                        let _ = into.send((subject.to_owned(), heard.body.clone()));
                        for reply in script(&heard.body) {
                            own.say(heard.body["reply_to"].as_str().unwrap(), &reply);
                        }
                    }
                }
            }
        });
        Self { requests, wire, task: Some(task) }
    }

    /// The next request, with its subject.
    pub fn request(&self) -> (String, Value) {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    pub fn say(&self, to: &str, report: &Value) {
        self.wire.say(to, report);
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.wire.say("build.end", &json!({}));
        if let Some(task) = self.task.take() {
            let _ = task.join();
        }
    }
}

/// A report about these hosts: name, state.
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
