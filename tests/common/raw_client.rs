//! A client without any code of the program: it speaks JSON on subjects, as the protocol describes them.

use super::{DEADLINE, NatsServer, Signer};
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
pub struct RawMessage {
    pub subject: String,
    pub reply: Option<String>,
    /// The JSON, or null if the server reports that no client is subscribed.
    pub body: Value,
    /// The bytes of the JSON.
    pub payload: Bytes,
    /// The headers by name.
    pub headers: Vec<(String, String)>,
}

/// An operator that confirms hosts until it is stopped.
pub struct PeerConfirmations(tokio::task::JoinHandle<()>);

impl PeerConfirmations {
    /// Stops confirming.
    pub fn stop(&self) {
        self.0.abort();
    }
}

/// A connection with its own runtime, for synchronous tests.
pub struct RawClient {
    runtime: Runtime,
    client: Client,
    refused: Receiver<String>,
}

impl RawClient {
    /// Connects with the key of `user`.
    pub fn connect(nats: &NatsServer, user: &str) -> Self {
        Self::with_key(&nats.url(), nats.key(user))
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

    /// Subscribes to `subject`, and waits until the server knows the subscription.
    pub fn subscribe(&self, subject: &str) -> RawSubscription {
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
                if into.send(RawMessage { subject, reply, body, payload, headers }).is_err() {
                    return;
                }
            }
        });
        RawSubscription { heard }
    }

    /// Sends back the nonces of hosts, like a client that follows a job. Without this, a host whose NATS server has a
    /// local address is not confirmed.
    pub fn confirm_peers(&self) -> PeerConfirmations {
        self.confirm_peers_as(None)
    }

    /// Sends back the nonces of hosts with signed queries.
    pub fn confirm_peers_as(&self, signer: Option<Signer>) -> PeerConfirmations {
        let client = self.client.clone();
        let mut reports = self.runtime.block_on(client.subscribe("deploy.responses.*")).unwrap();
        self.round_trip();
        let task = self.runtime.spawn(async move {
            let mut seen = Value::Null;
            while let Some(message) = reports.next().await {
                let report: Value = serde_json::from_slice(&message.payload).unwrap_or(Value::Null);
                if report["confirm"].is_string() && report["confirm"] != seen {
                    seen = report["confirm"].clone();
                    let reply_to = "deploy.responses.ask.peer";
                    let query = serde_json::json!({"reply_to": reply_to, "query": "job", "hosts": [report["hostname"]], "confirm": seen});
                    let payload = query.to_string().into_bytes();
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
        PeerConfirmations(task)
    }

    /// Publishes JSON.
    pub fn publish(&self, subject: &str, body: &Value) {
        self.publish_bytes(subject, None, body.to_string().into_bytes());
    }

    /// Publishes bytes, optionally with a reply subject.
    pub fn publish_bytes(&self, subject: &str, reply: Option<&str>, body: Vec<u8>) {
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
    pub fn publish_with_headers(
        &self,
        subject: &str,
        reply: Option<&str>,
        headers: &[(String, String)],
        body: &[u8],
    ) {
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

    /// Publishes the same JSON many times, as fast as the server accepts it.
    pub fn flood(&self, subject: &str, body: &Value, times: usize) {
        let body: Bytes = body.to_string().into_bytes().into();
        self.runtime.block_on(async {
            for _ in 0..times {
                self.client.publish(subject.to_owned(), body.clone()).await.unwrap();
            }
            self.client.flush().await.unwrap();
        });
    }

    /// Waits for the next permission violation.
    pub fn permission_violation(&self) -> String {
        self.refused.recv_timeout(DEADLINE).expect("a refusal")
    }

    /// Waits until the server has read everything that was sent: a message to ourselves arrives, or its refusal.
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

/// The messages of a subscription.
pub struct RawSubscription {
    heard: Receiver<RawMessage>,
}

impl RawSubscription {
    /// Returns the next message.
    pub fn next(&self) -> RawMessage {
        self.heard.recv_timeout(DEADLINE).expect("a message")
    }

    /// Returns the next message if one arrives within this time.
    pub fn within(&self, moment: Duration) -> Option<RawMessage> {
        self.heard.recv_timeout(moment).ok()
    }

    /// Returns the next message that `wanted` accepts.
    pub fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.until_within(2 * DEADLINE, wanted)
    }

    fn until_within(&self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let (mut passed, started) = (Vec::new(), Instant::now());
        loop {
            // The limit covers all messages, because heartbeats never stop.
            let left = limit.saturating_sub(started.elapsed());
            match self.heard.recv_timeout(left.min(DEADLINE)) {
                Ok(heard) if wanted(&heard.body) => return heard.body,
                Ok(heard) => passed.push(heard.body.to_string()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the expected message did not arrive, only:\n{}", passed.join("\n"))
                }
            }
        }
    }

    /// Returns the next final report.
    pub fn final_report(&self) -> Value {
        self.final_report_within(2 * DEADLINE)
    }

    /// Returns the next final report within `limit`, which may be longer.
    pub fn final_report_within(&self, limit: Duration) -> Value {
        let is_final =
            |body: &Value| matches!(body["status"].as_str(), Some("completed" | "failed" | "rejected"));
        self.until_within(limit, is_final)
    }

    /// Returns all messages so far; after [`RawClient::round_trip`], that includes all earlier ones.
    pub fn received(&self) -> Vec<RawMessage> {
        self.heard.try_iter().collect()
    }

    /// Returns every report up to the final one.
    pub fn all_reports(&self) -> Vec<Value> {
        let (mut reports, started) = (Vec::new(), Instant::now());
        loop {
            assert!(started.elapsed() < 2 * DEADLINE, "no end of {reports:#?}");
            reports.push(self.next().body);
            if matches!(
                reports[reports.len() - 1]["status"].as_str(),
                Some("completed" | "failed" | "rejected")
            ) {
                return reports;
            }
        }
    }

    /// Returns all messages so far and within `moment`, to assert that something does *not* arrive.
    pub fn quiet(&self, moment: Duration) -> Vec<RawMessage> {
        let mut heard = Vec::new();
        loop {
            match self.heard.recv_timeout(moment) {
                Ok(message) => heard.push(message),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return heard,
            }
        }
    }
}
