//! A real NATS server with a fleet's permissions, and connections that see what it refuses.

use crate::fixture::{fleet_file, pair};
use async_nats::{Client, ConnectOptions, Event, ServerError, Subscriber};
use futures_util::StreamExt;
use homelab_deploy::keys::{parse_fleet_file, render_authorization};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// A user whom the server lets do everything, the one to see what arrives.
const WITNESS: &str = "witness";

/// The server; it dies with this.
pub(crate) struct Server {
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Starts one with the permissions of the whole fixture, and a witness. Gives its URL too.
    pub(crate) async fn start() -> (Self, String) {
        let users = render_authorization(&parse_fleet_file(fleet_file()).unwrap());
        let witness = format!("  users = [\n    {{ nkey: {:?} }}\n", pair(WITNESS).public_key());
        let config = users.replacen("  users = [\n", &witness, 1);
        assert!(config.contains(&witness));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nats.conf");
        fs::write(&file, config).unwrap();
        let process = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { process, folder };
        let Ok(Some(url)) = timeout(DEADLINE, server.url()).await else {
            panic!("no server: {}", fs::read_to_string(server.folder.path().join("log")).unwrap())
        };
        (server, url)
    }

    /// Its URL, once it has written it down; `None` if it ends instead.
    async fn url(&mut self) -> Option<String> {
        let ports = self.folder.path().join(format!("nats-server_{}.ports", self.process.id()));
        while self.process.try_wait().unwrap().is_none() {
            let text = fs::read_to_string(&ports).unwrap_or_default();
            // Half a file is no JSON.
            if let Ok(ports) = serde_json::from_str::<serde_json::Value>(&text) {
                return Some(ports["nats"][0].as_str().unwrap().to_owned());
            }
            sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the server made of a publish or a subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Refused,
}

/// A connection under one entry's key, and the witness beside it.
pub(crate) struct Trial {
    client: Client,
    refusals: mpsc::Receiver<String>,
    witness: Client,
    seen: Subscriber,
    _server: Server,
}

impl Trial {
    /// Connects as an entry of the fixture.
    pub(crate) async fn of(entry: &str) -> Self {
        let (server, url) = Server::start().await;
        let (sender, refusals) = mpsc::channel(64);
        let client = connect_options(entry)
            .event_callback(move |event| {
                let sender = sender.clone();
                async move {
                    if let Event::ServerError(ServerError::Other(text)) = event {
                        sender.send(text).await.unwrap();
                    }
                }
            })
            .connect(&url)
            .await
            .unwrap();
        let witness = connect_options(WITNESS).connect(&url).await.unwrap();
        let mut seen = witness.subscribe(">").await.unwrap();
        // Once its own message is back, the witness sees everything.
        witness.publish("ready", "".into()).await.unwrap();
        timeout(DEADLINE, seen.next()).await.unwrap().unwrap();
        Self { client, refusals, witness, seen, _server: server }
    }

    /// Publishes, and waits until the witness has the message or the server refuses it.
    pub(crate) async fn publish(&mut self, subject: &'static str) -> Verdict {
        self.client.publish(subject, "trial".into()).await.unwrap();
        let refusal = format!("Permissions Violation for Publish to \"{subject}\"");
        let verdict = async {
            tokio::select! {
                () = arrival(&mut self.seen, subject, "trial") => Verdict::Allowed,
                () = arrival_of_text(&mut self.refusals, &refusal) => Verdict::Refused,
            }
        };
        timeout(DEADLINE, verdict).await.unwrap_or_else(|_| panic!("publish to {subject}: neither"))
    }

    /// Subscribes, and waits until a message on `sample` comes or the server refuses.
    pub(crate) async fn subscribe(&mut self, pattern: &'static str, sample: &'static str) -> Verdict {
        let mut subscriber = self.client.subscribe(pattern).await.unwrap();
        let refusal = format!("Permissions Violation for Subscription to \"{pattern}\"");
        let knocking = async {
            // The subscription reaches the server some time after the first of these.
            loop {
                self.witness.publish(sample, "knock".into()).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
        };
        let verdict = async {
            tokio::select! {
                never = knocking => never,
                () = arrival(&mut subscriber, sample, "knock") => Verdict::Allowed,
                () = arrival_of_text(&mut self.refusals, &refusal) => Verdict::Refused,
            }
        };
        timeout(DEADLINE, verdict).await.unwrap_or_else(|_| panic!("subscribe to {pattern}: neither"))
    }

    /// What is heard under a pattern when the witness publishes to these subjects, the last of them surely.
    /// `own` is a subject that the entry may publish to.
    pub(crate) async fn heard(
        &mut self,
        pattern: &'static str,
        own: &'static str,
        subjects: &[&'static str],
    ) -> Vec<String> {
        let mut subscriber = self.client.subscribe(pattern).await.unwrap();
        // Sent after the subscription, so the subscription stands once this has arrived.
        assert_eq!(self.publish(own).await, Verdict::Allowed);
        for subject in subjects {
            self.witness.publish(*subject, "".into()).await.unwrap();
        }
        let mut heard = Vec::new();
        while heard.last().map(String::as_str) != subjects.last().copied() {
            let message = timeout(DEADLINE, subscriber.next()).await.expect("nothing more was heard");
            heard.push(message.expect("the connection ended").subject.to_string());
        }
        heard
    }
}

/// Waits for our message on this subject.
async fn arrival(messages: &mut Subscriber, subject: &str, payload: &str) {
    loop {
        let message = messages.next().await.expect("the connection ended");
        if message.subject.as_str() == subject && message.payload == payload {
            return;
        }
    }
}

async fn arrival_of_text(texts: &mut mpsc::Receiver<String>, text: &str) {
    while texts.recv().await.expect("the connection ended") != text {}
}

/// The options of a connection under an entry's key.
pub(crate) fn connect_options(entry: &str) -> ConnectOptions {
    ConnectOptions::with_nkey(pair(entry).seed().unwrap()).max_reconnects(1)
}
