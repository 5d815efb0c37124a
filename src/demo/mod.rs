//! The demo: a private broker with real keys and permissions, simulated hosts that are real listeners, and their day.

mod broker;
mod builder;
mod commit;
mod day;
mod engine;
mod host;
mod keeper;
mod keys;
mod machine;
mod part;
mod past;
mod power;
mod report;
mod repository;
mod script;
mod server;
mod store;

pub use broker::{Broker, BrokerError};
pub use keeper::{KeeperError, run as keep};

use crate::builder::BuilderError;
use crate::bus::{ConnectError, Seed, SeedError, Settings, SettingsError};
use crate::deployer::Roster;
use crate::jobs::StoreError;
use crate::listener::ListenerError;
use crate::protocol::NameError;
use builder::SimulatedBuilds;
use engine::SimulatedEngine;
use host::DemoHost;
use part::Part;
use past::Past;
use power::Power;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Where operators knock.
const ASK: &str = "deploy.responses.ask.ping";

/// Why the demo could not start or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A key.
    #[error(transparent)]
    Keys(#[from] crate::keys::SeedError),
    /// A key file.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Connection settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The connection of the other operator.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A simulated host.
    #[error("a simulated host ended: {0}")]
    Listener(#[from] ListenerError),
    /// A made-up name.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// How a demo goes on once it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As a person can follow it, and others are at work too.
    Day,
    /// As quickly as it can be shown, and nothing happens by itself.
    Show,
}

/// A running demo. Whatever happens to this process, nothing of it is left behind.
pub struct Demo {
    broker: Broker,
    folder: PathBuf,
    hosts: JoinSet<Result<(), ListenerError>>,
    builder: JoinSet<Result<(), BuilderError>>,
    day: JoinSet<()>,
    shutdown: CancellationToken,
    /// The flake that its hosts name.
    flake: Arc<str>,
    /// How many simulated hosts there are.
    pub count: usize,
}

impl Demo {
    /// Starts a broker and `count` hosts in `folder`. `program` is our own executable.
    pub async fn start(folder: &Path, count: usize, program: &Path, pace: Pace) -> Result<Self, DemoError> {
        let hosts = (0..count).map(DemoHost::numbered).collect::<Result<Vec<_>, _>>()?;
        let authorization = keys::make(folder, &hosts)?;
        let broker = Broker::start(folder, &authorization, program).await?;
        let flake: Arc<str> = repository::make(folder).await.into();
        let mut demo = Self {
            broker,
            folder: folder.to_owned(),
            hosts: JoinSet::new(),
            builder: JoinSet::new(),
            day: JoinSet::new(),
            shutdown: CancellationToken::new(),
            flake: flake.clone(),
            count,
        };
        let settings = demo.settings(keys::BUILDER, crate::builder::PING_SUBJECT)?;
        if let Some(config) = builder::config(&flake, settings, folder)? {
            let engine = Arc::new(SimulatedBuilds::of(&hosts, pace));
            demo.builder.spawn(crate::builder::run(config, engine, demo.shutdown.clone()));
        }
        let past = Past::of(count, &flake);
        for host in &hosts {
            let state = folder.join("state").join(host.name.as_str());
            let machine = past.live(host, &state)?;
            let (power, supply) = Power::new();
            let engine = SimulatedEngine {
                host: Arc::new(host.clone()),
                machine: Arc::new(Mutex::new(machine)),
                power,
                flake: flake.clone(),
                pace: pace.factor(),
            };
            if pace == Pace::Day && host.part == Part::Unplugged {
                demo.day.spawn(day::cut_power(engine.clone()));
            }
            let seed = Seed::read(&keys::file(folder, host.name.as_str()))?;
            let config = host.config(demo.url(), seed, &flake, state)?;
            demo.hosts.spawn(power::run(config, engine, supply, demo.shutdown.clone()));
        }
        if pace == Pace::Day {
            let settings = demo.settings(keys::ALICE, ASK)?;
            demo.day.spawn(async move {
                let (deploys, builds) =
                    tokio::join!(day::deploy(settings.clone(), hosts), day::build(settings));
                for error in [deploys.err(), builds.err()].into_iter().flatten() {
                    tracing::warn!(%error, "the demo's other operator is not at work");
                }
            });
        }
        Ok(demo)
    }

    /// The URL of the broker.
    pub fn url(&self) -> &str {
        self.broker.url()
    }

    /// What an operator of the demo knows before it begins: its flake.
    pub fn roster(&self) -> Roster {
        Roster::allowing([self.flake.to_string()].into())
    }

    /// Connection settings for the operator of the demo.
    pub fn operator(&self) -> Result<Settings, DemoError> {
        self.settings(keys::OPERATOR, ASK)
    }

    /// A command for another terminal. What it remembers of the hosts is gone with the demo.
    pub fn example(&self, program: &Path) -> String {
        let (folder, key) = (self.folder.display(), keys::file(&self.folder, keys::OPERATOR));
        format!(
            "XDG_STATE_HOME={folder} {} hosts --nats-url {} --nkey-file {}",
            program.display(),
            self.url(),
            key.display()
        )
    }

    /// Ends every host and the broker.
    pub async fn stop(mut self) -> Result<(), DemoError> {
        self.day.shutdown().await;
        self.shutdown.cancel();
        while self.hosts.join_next().await.is_some() {}
        while self.builder.join_next().await.is_some() {}
        self.broker.stop().await?;
        Ok(())
    }

    fn settings(&self, name: &str, ping: &str) -> Result<Settings, DemoError> {
        let seed = Seed::read(&keys::file(&self.folder, name))?;
        Ok(Settings::new(self.url(), Some(seed), "homelab-deploy demo", ping)?)
    }
}

impl Pace {
    /// How much of the time that things take on an ordinary host they take.
    fn factor(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Show => 0.2,
        }
    }
}
