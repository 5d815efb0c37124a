//! The demo: a private NATS server with real credentials and permissions, and simulated hosts with real listeners.
//!
//! See ARCHITECTURE.md, "The console".

mod background;
mod builder;
mod capacity;
mod commit;
mod compose;
mod dormant;
mod engine;
mod host;
mod keys;
mod launcher;
mod machine;
mod nats_server;
mod outage;
mod report;
mod repository;
mod scenario;
mod seed_history;
mod supervisor;
mod timeline;
mod unit_changes;

pub use capacity::{memory_warning, raise_open_files};
pub use nats_server::{NatsServer, NatsServerError};
pub use supervisor::{SupervisorError, run as supervise};

use crate::client::Inventory;
use crate::nats::{
    Client, ConnectError, ConnectionSettings, ConnectionSettingsError, NatsError, Nkey, NkeyError,
    Subscription,
};
use crate::protocol::{DISCOVER, NameError, PRESENCE};
use crate::service::ServiceError;
use crate::state_dir::StoreError;
use builder::SimulatedBuilds;
use dormant::DormantHosts;
use host::DemoHost;
use launcher::Launcher;
use scenario::Scenario;
use seed_history::SeedHistory;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Subject that the pings of operators subscribe to.
const PING_SUBJECT: &str = "deploy.responses.ask.ping";

/// Number of hosts with a listener from the start. All others get theirs with their first request.
const LISTENERS: usize = 100;
/// How long a start waits for a host that does not announce itself.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Why the demo could not start or has failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The NATS server failed.
    #[error(transparent)]
    NatsServer(#[from] NatsServerError),
    /// A credential could not be created.
    #[error(transparent)]
    Keys(#[from] crate::keys::UserSeedError),
    /// A credential could not be read.
    #[error(transparent)]
    Seed(#[from] NkeyError),
    /// The connection settings are invalid.
    #[error(transparent)]
    Settings(#[from] ConnectionSettingsError),
    /// A state directory could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other operator could not connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The hosts without a listener could not be served.
    #[error(transparent)]
    Dormant(NatsError),
    /// The listener of a simulated host ended.
    #[error("a simulated host ended: {0}")]
    Listener(#[from] ServiceError),
    /// A generated name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Pace of a demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoPace {
    /// A pace that a person can follow, with activity in the background.
    Interactive,
    /// As fast as possible, without activity in the background.
    Fast,
}

/// A running demo. Its server and its directory are removed even if this process is killed.
pub struct Demo {
    nats_server: NatsServer,
    directory: PathBuf,
    hosts: JoinSet<Result<(), ServiceError>>,
    dormant: JoinSet<()>,
    builder: JoinSet<Result<(), ServiceError>>,
    background: JoinSet<()>,
    shutdown: CancellationToken,
    /// URL of the flake that the hosts use.
    flake: Arc<str>,
    /// Number of simulated hosts.
    pub count: usize,
}

impl Demo {
    /// Starts a NATS server and `count` hosts in `directory`, and waits until they have announced themselves. `program`
    /// is the path of this executable; `progress` receives the number of hosts that are up.
    pub async fn start(
        directory: &Path,
        count: usize,
        program: &Path,
        pace: DemoPace,
        progress: impl Fn(usize) + Send,
    ) -> Result<Self, DemoError> {
        let hosts = (0..count).map(DemoHost::numbered).collect::<Result<Vec<_>, _>>()?;
        let (hosts, dormant) = hosts.split_at(count.min(LISTENERS));
        let dormant: Vec<_> = dormant.iter().map(|host| (host.clone(), Nkey::generate())).collect();
        let dormant_keys: Vec<_> = dormant.iter().map(|(_, key)| key.clone()).collect();
        let authorization = keys::make(directory, hosts, &dormant_keys)?;
        let nats_server = NatsServer::start(directory, &authorization, program).await?;
        let flake: Arc<str> = repository::make(directory).await.into();
        let mut demo = Self {
            nats_server,
            directory: directory.to_owned(),
            hosts: JoinSet::new(),
            dormant: JoinSet::new(),
            builder: JoinSet::new(),
            background: JoinSet::new(),
            shutdown: CancellationToken::new(),
            flake: flake.clone(),
            count,
        };
        let settings = demo.settings(keys::BUILDER, crate::builder::PING_SUBJECT)?;
        if let Some(config) = builder::config(&flake, settings, directory)? {
            let engine = Arc::new(SimulatedBuilds::of(hosts, pace));
            demo.builder.spawn(crate::builder::run(config, engine, demo.shutdown.clone()));
        }
        let operator = Client::connect(&demo.operator()?).await?;
        let announced = operator.subscribe(PRESENCE, hostname_of).await.map_err(DemoError::Dormant)?;
        let mut announced = Announced { messages: announced, names: HashSet::new(), progress };
        let launcher = Launcher {
            directory: directory.to_owned(),
            url: demo.url().to_owned(),
            history: Arc::new(SeedHistory::new(count.min(LISTENERS), flake)),
            pace: pace.factor(),
            shutdown: demo.shutdown.clone(),
        };
        for host in hosts {
            let seed = Nkey::read(&keys::file(directory, host.name.as_str()))?;
            if host.scenario == Scenario::Compose {
                launcher.start_compose(host, seed, &mut demo.hosts)?;
                continue;
            }
            let engine = launcher.start(host, seed, &mut demo.hosts)?;
            if pace == DemoPace::Interactive && host.scenario == Scenario::PowerLoss {
                demo.background.spawn(background::simulate_power_losses(engine));
            }
            yield_now().await;
            announced.count();
        }
        if !dormant.is_empty() {
            let settings = (demo.settings(keys::ANNOUNCER, DISCOVER)?, demo.settings(keys::WAKER, DISCOVER)?);
            let (history, shutdown) = (launcher.history.clone(), demo.shutdown.clone());
            demo.dormant.spawn(async move {
                if let Err(error) = DormantHosts::run(dormant, history, settings, launcher, shutdown).await {
                    tracing::error!(%error, "the hosts of the demo without a listener are gone");
                }
            });
        }
        announced.wait(count).await;
        let hosts = hosts.to_vec();
        if pace == DemoPace::Interactive {
            let settings = demo.settings(keys::ALICE, PING_SUBJECT)?;
            demo.background.spawn(async move {
                let (deploys, builds) = tokio::join!(
                    background::run_deployments(settings.clone(), hosts),
                    background::run_builds(settings)
                );
                for error in [deploys.err(), builds.err()].into_iter().flatten() {
                    tracing::warn!(%error, "the demo's other operator has stopped");
                }
            });
        }
        Ok(demo)
    }

    /// URL of the NATS server.
    pub fn url(&self) -> &str {
        self.nats_server.url()
    }

    /// Directory of the demo, which is removed at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The inventory of a new operator, which allows the flake of the demo.
    pub fn inventory(&self) -> Inventory {
        Inventory::allowing([self.flake.to_string()].into())
    }

    /// Connection settings for the operator of the demo.
    pub fn operator(&self) -> Result<ConnectionSettings, DemoError> {
        self.settings(keys::OPERATOR, PING_SUBJECT)
    }

    /// A command for another terminal. Its state is in the directory of the demo and is removed with it.
    pub fn example(&self, program: &Path) -> String {
        let (directory, key) = (self.directory.display(), keys::file(&self.directory, keys::OPERATOR));
        format!(
            "XDG_STATE_HOME={directory} {} hosts --nats-url {} --nkey-file {}",
            program.display(),
            self.url(),
            key.display()
        )
    }

    /// Stops all hosts, the builder and the NATS server.
    pub async fn stop(mut self) -> Result<(), DemoError> {
        self.background.shutdown().await;
        self.shutdown.cancel();
        while self.hosts.join_next().await.is_some() {}
        while self.dormant.join_next().await.is_some() {}
        while self.builder.join_next().await.is_some() {}
        self.nats_server.stop().await?;
        Ok(())
    }

    fn settings(&self, name: &str, ping: &str) -> Result<ConnectionSettings, DemoError> {
        let seed = Nkey::read(&keys::file(&self.directory, name))?;
        Ok(ConnectionSettings::new(self.url(), Some(seed), "homelab-deploy demo", ping)?)
    }
}

/// The hosts that have announced themselves.
struct Announced<P> {
    messages: Subscription<Option<String>>,
    names: HashSet<String>,
    progress: P,
}

impl<P: Fn(usize)> Announced<P> {
    /// Counts the announcements that have arrived.
    fn count(&mut self) {
        while let Some(received) = self.messages.try_next() {
            self.names.extend(received.message.flatten());
        }
        (self.progress)(self.names.len());
    }

    /// Waits until this many hosts are up, but not for ever: the others may follow.
    async fn wait(&mut self, count: usize) {
        let mut until = Instant::now() + START_TIMEOUT;
        while self.names.len() < count {
            let Ok(received) = timeout_at(until, self.messages.next()).await else { break };
            self.names.extend(received.message.flatten());
            self.count();
            until = Instant::now() + START_TIMEOUT;
        }
    }
}

/// The name of the host in an announcement.
fn hostname_of(_: &str, payload: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Hostname {
        hostname: String,
    }
    serde_json::from_slice::<Hostname>(payload).ok().map(|presence| presence.hostname)
}

impl DemoPace {
    /// Factor for all durations of a job.
    fn factor(self) -> f64 {
        match self {
            Self::Interactive => 1.0,
            Self::Fast => 0.2,
        }
    }
}
