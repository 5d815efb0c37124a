//! A client that knows nothing of ours: it speaks JSON on subjects, as PROTOCOL describes them.

use super::{Broker, DEADLINE, Signer};
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::Value;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A message that arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    pub subject: String,
    pub reply: Option<String>,
    /// The JSON, or null where the server says that nobody listens.
    pub body: Value,
    /// The bytes that the JSON was read from.
    pub payload: Bytes,
    /// The headers it carried, by name.
    pub headers: Vec<(String, String)>,
}

/// An operator who follows jobs, until it is stopped.
pub struct Vouching(tokio::task::JoinHandle<()>);

impl Vouching {
    /// Goes away.
    pub fn stop(&self) {
        self.0.abort();
    }
}

/// A connection with its own small runtime, used from plain tests.
pub struct Wire {
    runtime: Runtime,
    client: Client,
    refused: Receiver<String>,
}

impl Wire {
    /// Connects with the key of `user`.
    pub fn connect(broker: &Broker, user: &str) -> Self {
        Self::with_key(&broker.url(), broker.key(user))
    }

    /// Connects to the server at `url` with the key in a file.
    pub fn with_key(url: &str, key: &Path) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seed = std::fs::read_to_string(key).unwrap().trim().to_owned();
        let (into, refused): (Sender<String>, _) = channel();
        let options = ConnectOptions::with_nkey(seed).event_callback(move |event| {
            if let Event::ServerError(error) = event {
                let _ = into.send(error.to_string());
            }
            std::future::ready(())
        });
        let client = runtime.block_on(options.connect(url)).unwrap();
        Self { runtime, client, refused }
    }

    /// Everything on `subject` from now on; the subscription is known to the server when this returns.
    pub fn listen(&self, subject: &str) -> Ears {
        let (into, heard) = channel();
        let mut subscription = self.runtime.block_on(self.client.subscribe(subject.to_owned())).unwrap();
        self.round_trip();
        self.runtime.spawn(async move {
            while let Some(message) = subscription.next().await {
                let body = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                let reply = message.reply.map(|reply| reply.to_string());
                let mut headers = Vec::new();
                for (name, values) in message.headers.iter().flat_map(HeaderMap::iter) {
                    headers.extend(values.iter().map(|value| (name.to_string(), value.to_string())));
                }
                headers.sort_unstable();
                let (subject, payload) = (message.subject.to_string(), message.payload);
                if into.send(Heard { subject, reply, body, payload, headers }).is_err() {
                    return;
                }
            }
        });
        Ears { heard }
    }

    /// Sends back what hosts ask their operators to, as whoever follows a job does: a host whose NATS server is on a
    /// local address is confirmed by that alone.
    pub fn vouch(&self) -> Vouching {
        self.vouch_as(None)
    }

    /// The same, signed.
    pub fn vouch_as(&self, signer: Option<Signer>) -> Vouching {
        let client = self.client.clone();
        let mut reports = self.runtime.block_on(client.subscribe("deploy.responses.*")).unwrap();
        self.round_trip();
        let task = self.runtime.spawn(async move {
            let mut seen = Value::Null;
            while let Some(message) = reports.next().await {
                let report: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                if report["confirm"].is_string() && report["confirm"] != seen {
                    seen = report["confirm"].clone();
                    let reply_to = "deploy.responses.ask.vouch";
                    let ask = serde_json::json!({"reply_to": reply_to, "want": "job", "hosts": [report["hostname"]], "confirm": seen});
                    let payload = ask.to_string().into_bytes();
                    let mut headers = HeaderMap::new();
                    for (name, value) in signer
                        .iter()
                        .flat_map(|signer| signer.headers_for("query", "deploy.discover", &payload))
                    {
                        headers.append(name, value);
                    }
                    let _ = client.publish_with_headers("deploy.discover", headers, payload.into()).await;
                }
            }
        });
        Vouching(task)
    }

    /// Publishes JSON.
    pub fn say(&self, subject: &str, body: &Value) {
        self.say_bytes(subject, None, body.to_string().into_bytes());
    }

    /// Publishes bytes, with a reply subject if given.
    pub fn say_bytes(&self, subject: &str, reply: Option<&str>, body: Vec<u8>) {
        let (subject, body) = (subject.to_owned(), body.into());
        self.runtime.block_on(async {
            match reply {
                Some(reply) => self.client.publish_with_reply(subject, reply.to_owned(), body).await.unwrap(),
                None => self.client.publish(subject, body).await.unwrap(),
            }
            self.client.flush().await.unwrap();
        });
    }

    /// Publishes bytes with headers.
    pub fn say_with(&self, subject: &str, reply: Option<&str>, headers: &[(String, String)], body: &[u8]) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.as_str(), value.as_str());
        }
        let (subject, body) = (subject.to_owned(), Bytes::copy_from_slice(body));
        self.runtime.block_on(async {
            match reply {
                Some(reply) => {
                    let reply = reply.to_owned();
                    self.client.publish_with_reply_and_headers(subject, reply, map, body).await.unwrap();
                }
                None => self.client.publish_with_headers(subject, map, body).await.unwrap(),
            }
            self.client.flush().await.unwrap();
        });
    }

    /// Publishes the same JSON many times, as fast as the server takes it.
    pub fn flood(&self, subject: &str, body: &Value, times: usize) {
        let body: Bytes = body.to_string().into_bytes().into();
        self.runtime.block_on(async {
            for _ in 0..times {
                self.client.publish(subject.to_owned(), body.clone()).await.unwrap();
            }
            self.client.flush().await.unwrap();
        });
    }

    /// The server's next refusal of a subject.
    pub fn refusal(&self) -> String {
        self.refused.recv_timeout(DEADLINE).expect("a refusal")
    }

    /// Waits until the server has read all we sent: a message to ourselves comes back, or the refusal of it.
    pub fn round_trip(&self) {
        let subject = format!("test.{}", uuid::Uuid::now_v7());
        let (into, back) = channel();
        self.runtime.block_on(async {
            let mut own = self.client.subscribe(subject.clone()).await.unwrap();
            self.client.publish(subject.clone(), "".into()).await.unwrap();
            self.runtime.spawn(async move {
                if own.next().await.is_some() {
                    let _ = into.send(());
                }
            });
        });
        super::eventually("a round trip", || {
            let refused = || self.refused.try_iter().any(|refusal| refusal.contains(&subject));
            (back.try_recv().is_ok() || refused()).then_some(())
        });
    }
}

/// What arrives on a subject.
pub struct Ears {
    heard: Receiver<Heard>,
}

impl Ears {
    /// The next message.
    pub fn next(&self) -> Heard {
        self.heard.recv_timeout(DEADLINE).expect("a message")
    }

    /// The next message if one comes within this time.
    pub fn within(&self, moment: Duration) -> Option<Heard> {
        self.heard.recv_timeout(moment).ok()
    }

    /// The next message that `wanted` accepts.
    pub fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_within(2 * DEADLINE, wanted)
    }

    fn until_within(&self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let (mut passed, begun) = (Vec::new(), Instant::now());
        loop {
            // Heartbeats would go on for ever.
            let left = limit.saturating_sub(begun.elapsed());
            match self.heard.recv_timeout(left.min(DEADLINE)) {
                Ok(heard) if wanted(&heard.body) => return heard.body,
                Ok(heard) => passed.push(heard.body.to_string()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the message did not come; others were:\n{}", passed.join("\n"))
                }
            }
        }
    }

    /// The next report that is final.
    pub fn verdict(&self) -> Value {
        self.verdict_within(2 * DEADLINE)
    }

    /// The same where more time is needed.
    pub fn verdict_within(&self, limit: Duration) -> Value {
        let is_final =
            |body: &Value| matches!(body["status"].as_str(), Some("completed" | "failed" | "rejected"));
        self.until_within(limit, is_final)
    }

    /// Everything that has arrived so far; after a [`Wire::round_trip`], all that was said before it.
    pub fn arrived(&self) -> Vec<Heard> {
        self.heard.try_iter().collect()
    }

    /// Every report up to the final one.
    pub fn story(&self) -> Vec<Value> {
        let (mut story, begun) = (Vec::new(), Instant::now());
        loop {
            assert!(begun.elapsed() < 2 * DEADLINE, "no end of {story:#?}");
            story.push(self.next().body);
            if matches!(story[story.len() - 1]["status"].as_str(), Some("completed" | "failed" | "rejected"))
            {
                return story;
            }
        }
    }

    /// Everything that has arrived and arrives within a moment: for seeing that something does *not* come.
    pub fn quiet(&self, moment: Duration) -> Vec<Heard> {
        let mut heard = Vec::new();
        loop {
            match self.heard.recv_timeout(moment) {
                Ok(message) => heard.push(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return heard,
            }
        }
    }
}
