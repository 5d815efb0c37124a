//! A private server with hosts on it, which answer the console's questions and announce themselves.

use crate::hosts;
use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::demo::Broker;
use homelab_deploy::protocol::{Ask, DISCOVER, PRESENCE, of_report};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

/// The binary that is measured.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");

/// A server, and the tasks that speak for hosts.
pub(crate) struct Fleet {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    broker: Broker,
    folder: TempDir,
}

impl Fleet {
    /// Starts a server for `count` hosts.
    pub(crate) fn start(count: usize) -> Self {
        let folder = TempDir::new().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (broker, client) = runtime.block_on(async {
            let place = folder.path().join("broker");
            let broker = Broker::start(&place, "", Path::new(PROGRAM)).await.unwrap();
            let client = async_nats::connect(broker.url()).await.unwrap();
            let questions = client.subscribe(DISCOVER).await.unwrap();
            client.flush().await.unwrap();
            tokio::spawn(answer(questions, client.clone(), answers(count)));
            (broker, client)
        });
        Self { runtime, client, broker, folder }
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        self.broker.url()
    }

    /// A folder that lives as long.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Every host announces itself once a minute from now on, each at a moment of its own.
    pub(crate) fn announce(&self, count: usize) {
        let (client, answers) = (self.client.clone(), answers(count));
        self.runtime.spawn(async move {
            let Ok(hosts) = u32::try_from(answers.len()) else { return };
            for answer in answers.iter().cycle() {
                sleep((Duration::from_mins(1) / hosts).mul_f64(0.5 + fastrand::f64())).await;
                client.publish(PRESENCE, answer.clone().into()).await.unwrap();
            }
        });
    }

    /// Every host announces itself now.
    pub(crate) fn announce_all(&self, count: usize) {
        self.pour(PRESENCE, answers(count));
    }

    /// Every host reports this step of the deployment now.
    pub(crate) fn report_all(&self, count: usize, step: u64) {
        let reports = (0..count).map(|n| hosts::report(n, step, false).encode());
        self.pour(&of_report(&hosts::deployment()), reports);
    }

    fn pour(&self, subject: &str, messages: impl IntoIterator<Item = Vec<u8>>) {
        self.runtime.block_on(async {
            for message in messages {
                self.client.publish(subject.to_owned(), message.into()).await.unwrap();
            }
            self.client.flush().await.unwrap();
        });
    }

    /// Ends the server and waits until nothing of it is left.
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.broker.stop()).unwrap();
    }
}

fn answers(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| hosts::answer(n).encode()).collect()
}

/// Answers every question about hosts, all hosts at once, as they do.
async fn answer(mut questions: async_nats::Subscriber, client: Client, answers: Vec<Vec<u8>>) {
    while let Some(question) = questions.next().await {
        let ask: Ask = serde_json::from_slice(&question.payload).unwrap();
        // Of jobs and logs nothing is known here.
        if ask.want.is_some() {
            continue;
        }
        let reply_to = ask.reply_to.to_string();
        for answer in &answers {
            client.publish(reply_to.clone(), answer.clone().into()).await.unwrap();
        }
    }
}
