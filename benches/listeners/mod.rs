//! Many real listeners in this process, on one server.

use async_nats::Client;
use futures_util::StreamExt;
use homelab_deploy::activation::{Engine, Facts, JobEvents, JobFuture, JobSpec};
use homelab_deploy::jobs::HealthRules;
use homelab_deploy::listener::{self, ListenerConfig};
use homelab_deploy::nats::{ConnectionSettings, Nkey};
use homelab_deploy::protocol::{Action, DISCOVER, Id, Name, Query, ReplyTo};
use homelab_deploy::service::ServiceError;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// An engine that completes at once without doing anything.
#[allow(dead_code, reason = "not every bench has idle hosts")]
pub(crate) struct Idle;

impl Engine for Idle {
    fn actions(&self) -> Vec<Action> {
        Action::BASE.to_vec()
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn run(&self, _: JobSpec, _: JobEvents, _: CancellationToken) -> JobFuture {
        Box::pin(async { Ok("done".to_owned()) })
    }
}

/// Running listeners.
pub(crate) struct Listeners {
    tasks: JoinSet<Result<(), ServiceError>>,
    shutdown: CancellationToken,
}

impl Listeners {
    /// Starts `count` listeners, `host0` and so on, in the tier test, with their state in `state`, and waits until all
    /// reply.
    #[allow(dead_code, reason = "not every bench has hosts that do not sign")]
    pub(crate) async fn start(
        url: &str,
        client: &Client,
        count: usize,
        state: &Path,
        engine: Arc<dyn Engine>,
    ) -> Self {
        Self::start_with(url, client, vec![None; count], state, engine).await
    }

    /// Starts one listener for each seed, which signs with it.
    pub(crate) async fn start_with(
        url: &str,
        client: &Client,
        seeds: Vec<Option<Nkey>>,
        state: &Path,
        engine: Arc<dyn Engine>,
    ) -> Self {
        let (mut tasks, shutdown) = (JoinSet::new(), CancellationToken::new());
        let count = seeds.len();
        for (n, seed) in seeds.into_iter().enumerate() {
            tasks.spawn(listener::run(config(url, n, seed, state), engine.clone(), shutdown.clone()));
        }
        let ask = Query::new(ReplyTo::reports(Id::new("warm").unwrap()));
        until_all_answer(client, DISCOVER, &ask.encode(), count).await;
        Self { tasks, shutdown }
    }

    /// Stops all listeners.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn config(url: &str, n: usize, seed: Option<Nkey>, state: &Path) -> ListenerConfig {
    let host = Name::new(format!("host{n}")).unwrap();
    ListenerConfig {
        settings: ConnectionSettings::new(url, seed, host.as_str(), DISCOVER).unwrap(),
        deploy_subjects: vec![format!("deploy.test.{host}"), "deploy.test.all".to_owned()],
        discover_subject: DISCOVER.to_owned(),
        tier: Name::new("test").unwrap(),
        role: None,
        timeout: Duration::from_mins(10),
        heartbeat: Duration::from_secs(15),
        presence: Duration::ZERO,
        state_dir: state.join(host.as_str()),
        runtime_dir: state.join("run"),
        confirm_peers: None,
        rules: HealthRules::default(),
        flake_url: None,
        metrics: None,
        trusted_keys: Vec::new(),
        warnings: Vec::new(),
        hostname: host,
    }
}

/// Queries until each of `count` hosts has replied once, so that all their subscriptions are known to exist.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) async fn until_all_answer(client: &Client, subject: &'static str, query: &[u8], count: usize) {
    let mut answers = client.subscribe("deploy.responses.warm").await.unwrap();
    let mut up = HashSet::new();
    while up.len() < count {
        client.publish(subject, query.to_vec().into()).await.unwrap();
        while let Ok(Some(answer)) = timeout(Duration::from_millis(500), answers.next()).await {
            let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
            up.insert(answer["hostname"].to_string());
        }
    }
}
