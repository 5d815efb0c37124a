//! A private NATS server with hosts that answer queries and announce their presence.

use crate::hosts;
use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::demo::NatsServer;
use homelab_deploy::protocol::{DISCOVER, PRESENCE, Query, report_subject};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

/// The measured binary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");

/// A server, and the tasks that act as hosts.
pub(crate) struct Fleet {
    pub(crate) runtime: Runtime,
    pub(crate) client: Client,
    nats_server: NatsServer,
    directory: TempDir,
}

impl Fleet {
    /// Starts a server for `count` hosts.
    pub(crate) fn start(count: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (nats_server, client) = runtime.block_on(async {
            let path = directory.path().join("nats");
            let nats_server = NatsServer::start(&path, "", Path::new(PROGRAM)).await.unwrap();
            let client = async_nats::connect(nats_server.url()).await.unwrap();
            let queries = client.subscribe(DISCOVER).await.unwrap();
            client.flush().await.unwrap();
            tokio::spawn(answer(queries, client.clone(), answers(count)));
            (nats_server, client)
        });
        Self { runtime, client, nats_server, directory }
    }

    /// URL of the server.
    pub(crate) fn url(&self) -> &str {
        self.nats_server.url()
    }

    /// A directory that exists as long as the fleet.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Announces every host once a minute from now on, at different moments.
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

    /// Announces every host now.
    pub(crate) fn announce_all(&self, count: usize) {
        self.pour(PRESENCE, answers(count));
    }

    /// Publishes a report of every host at this step of the deployment.
    pub(crate) fn report_all(&self, count: usize, step: u64) {
        let reports = (0..count).map(|n| hosts::report(n, step, false).encode());
        self.pour(&report_subject(&hosts::deployment()), reports);
    }

    fn pour(&self, subject: &str, messages: impl IntoIterator<Item = Vec<u8>>) {
        self.runtime.block_on(async {
            for message in messages {
                self.client.publish(subject.to_owned(), message.into()).await.unwrap();
            }
            self.client.flush().await.unwrap();
        });
    }

    /// Stops the server and waits until it has exited.
    pub(crate) fn stop(self) {
        self.runtime.block_on(self.nats_server.stop()).unwrap();
    }
}

fn answers(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| hosts::answer(n).encode()).collect()
}

/// Answers every query about hosts for all hosts at once, as real hosts do.
async fn answer(mut queries: async_nats::Subscriber, client: Client, answers: Vec<Vec<u8>>) {
    while let Some(query) = queries.next().await {
        let ask: Query = serde_json::from_slice(&query.payload).unwrap();
        // Queries for jobs and logs get no reply.
        if ask.query.is_some() {
            continue;
        }
        let reply_to = ask.reply_to.to_string();
        for answer in &answers {
            client.publish(reply_to.clone(), answer.clone().into()).await.unwrap();
        }
    }
}
