//! A handwritten listener: it speaks JSON as the protocol describes it, and may misbehave.

use super::{DEADLINE, NatsServer};
use async_nats::{Client, ConnectOptions, Message};
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::Runtime;

/// A listener that replies to discovery, and to requests according to a script.
pub struct FakeListener {
    requests: Receiver<Value>,
    _runtime: Runtime,
}

impl FakeListener {
    /// Starts a listener that may do everything. `answer` is its presence. `script` receives each request and each
    /// query for a job, and returns the messages that are sent to its `reply_to`.
    pub fn start(
        nats: &NatsServer,
        answer: Value,
        script: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> Self {
        Self::with(nats, Some(answer), script)
    }

    /// Starts a listener without presence: it replies to other queries, and accepts no requests.
    pub fn unannounced(nats: &NatsServer, script: impl FnMut(&Value) -> Vec<Value> + Send + 'static) -> Self {
        Self::with(nats, None, script)
    }

    fn with(
        nats: &NatsServer,
        answer: Option<Value>,
        mut script: impl FnMut(&Value) -> Vec<Value> + Send + 'static,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = std::fs::read_to_string(nats.key("everything")).unwrap().trim().to_owned();
        let (into, requests) = channel();
        let url = nats.url();
        let subjects = answer.as_ref().map(|answer| answer["deploy_subjects"].clone());
        let subjects: Vec<String> = serde_json::from_value(subjects.unwrap_or(json!([]))).unwrap();
        runtime.block_on(async {
            let client = ConnectOptions::with_nkey(seed).connect(url).await.unwrap();
            let mut messages = Vec::new();
            for subject in subjects.into_iter().chain(["deploy.discover".to_owned()]) {
                messages.push(client.subscribe(subject).await.unwrap());
            }
            let mut messages = futures_util::stream::select_all(messages);
            wait_for_server(&client).await;
            tokio::spawn(async move {
                while let Some(Message { subject, payload, .. }) = messages.next().await {
                    let body: Value = serde_json::from_slice(&payload).unwrap();
                    let replies = match (subject.as_str(), body["query"].as_str()) {
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

    /// Returns the next request that it received.
    pub fn request(&self) -> Value {
        self.requests.recv_timeout(DEADLINE).expect("a request")
    }

    /// Returns the number of received requests that were not returned yet.
    pub fn unread_requests(&self) -> usize {
        self.requests.try_iter().count()
    }
}

/// Waits until the server has read everything that was sent before: our own message arrives.
async fn wait_for_server(client: &Client) {
    let subject = format!("test.{}", uuid::Uuid::now_v7());
    let mut own = client.subscribe(subject.clone()).await.unwrap();
    client.publish(subject, "".into()).await.unwrap();
    own.next().await.unwrap();
}

/// Creates the presence of a host that only knows the base format.
pub fn base_presence(name: &str, tier: &str, role: &str) -> Value {
    let subjects =
        [format!("deploy.{tier}.{name}"), format!("deploy.{tier}.all"), format!("deploy.{tier}.role.{role}")];
    json!({"hostname": name, "tier": tier, "role": role, "deploy_subjects": subjects})
}

/// Creates a report in the base format.
pub fn base_report(name: &str, status: &str, error: Option<&str>, message: &str) -> Value {
    json!({"hostname": name, "status": status, "error": error, "message": message})
}
