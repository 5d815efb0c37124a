//! A listener written by hand: it speaks JSON as PROTOCOL describes it, and may misbehave.

use super::{Broker, DEADLINE};
use async_nats::{Client, ConnectOptions, Message};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::Runtime;

/// It answers discovery, and says to a request what its script says.
pub struct Peer {
    requests: Receiver<Value>,
    _runtime: Runtime,
}

impl Peer {
    /// A peer that may do everything. `answer` is what it says of its host. `script` is given each request, and each
    /// question for a job, and gives the messages that go to its `reply_to`.
    pub fn start(
        broker: &Broker,
        answer: Value,
        script: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> Self {
        Self::with(broker, Some(answer), script)
    }

    /// A peer that does not say that it is there: it answers what else is asked, and takes no requests.
    pub fn mute(broker: &Broker, script: impl FnMut(&Value) -> Vec<Value> + Send + 'static) -> Self {
        Self::with(broker, None, script)
    }

    fn with(
        broker: &Broker,
        answer: Option<Value>,
        mut script: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = std::fs::read_to_string(broker.key("everything")).unwrap().trim().to_owned();
        let (into, requests) = channel();
        let url = broker.url();
        let subjects = answer.as_ref().map(|answer| answer["deploy_subjects"].clone());
        let subjects: Vec<String> = serde_json::from_value(subjects.unwrap_or(json!([]))).unwrap();
        runtime.block_on(async {
            let client = ConnectOptions::with_nkey(seed).connect(url).await.unwrap();
            let mut messages = Vec::new();
            for subject in subjects.into_iter().chain(["deploy.discover".to_owned()]) {
                messages.push(client.subscribe(subject).await.unwrap());
            }
            let mut messages = futures_util::stream::select_all(messages);
            known(&client).await;
            tokio::spawn(async move {
                while let Some(Message { subject, payload, .. }) = messages.next().await {
                    let body: Value = serde_json::from_slice(&payload).unwrap();
                    let replies = match (subject.as_str(), body["want"].as_str()) {
                        ("deploy.discover", None | Some("host")) => answer.iter().cloned().collect(),
                        _ => script(&body),
                    };
                    for reply in replies {
                        let to = body["reply_to"].as_str().unwrap().to_owned();
                        client.publish(to, reply.to_string().into()).await.unwrap();
                    }
                    if subject.as_str() != "deploy.discover" && into.send(body).is_err() {
                        return;
                    }
                }
            });
        });
        Self { requests, _runtime: runtime }
    }

    /// The next request it got.
    pub fn request(&self) -> Value {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// How many requests it got that nobody looked at.
    pub fn others(&self) -> usize {
        self.requests.try_iter().count()
    }
}

/// Waits until the server has read what was sent before: our own message comes back.
async fn known(client: &Client) {
    let subject = format!("test.{}", uuid::Uuid::now_v7());
    let mut own = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject, "".into()).await.unwrap();
    own.next().await.unwrap();
}

/// The answer of a host that knows the base format only.
pub fn base_answer(name: &str, tier: &str, role: &str) -> Value {
    let subjects =
        [format!("deploy.{tier}.{name}"), format!("deploy.{tier}.all"), format!("deploy.{tier}.role.{role}")];
    json!({"hostname": name, "tier": tier, "role": role, "deploy_subjects": subjects})
}

/// A report of the base format.
pub fn base_report(name: &str, status: &str, error: Option<&str>, message: &str) -> Value {
    json!({"hostname": name, "status": status, "error": error, "message": message})
}
