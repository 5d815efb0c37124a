//! The demo: a private broker with real keys and permissions, and simulated hosts that are real listeners.

mod broker;
mod engine;
mod host;
mod keeper;
mod server;

pub use broker::{Broker, BrokerError};
pub use engine::SimulatedEngine;
pub use keeper::{KeeperError, run as keep};

use crate::bus::{Seed, SeedError, Settings, SettingsError};
use crate::jobs::StoreError;
use crate::keys::{self, Credential, User, render_authorization};
use crate::listener::{self, ListenerError};
use crate::protocol::NameError;
use host::DemoHost;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the demo could not start or went wrong.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A key.
    #[error(transparent)]
    Keys(#[from] keys::SeedError),
    /// A key file.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// Connection settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A simulated host.
    #[error("a simulated host ended: {0}")]
    Listener(#[from] ListenerError),
    /// A made-up name.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A running demo. Whatever happens to this process, nothing of it is left behind.
pub struct Demo {
    broker: Broker,
    folder: PathBuf,
    hosts: JoinSet<Result<(), ListenerError>>,
    shutdown: CancellationToken,
    /// How many simulated hosts there are.
    pub count: usize,
}

impl Demo {
    /// Starts a broker and `count` hosts in `folder`. `program` is our own executable.
    pub async fn start(folder: &Path, count: usize, program: &Path) -> Result<Self, DemoError> {
        let hosts = (0..count).map(DemoHost::numbered).collect::<Result<Vec<_>, _>>()?;
        let authorization = authorization(folder, &hosts)?;
        let broker = Broker::start(folder, &authorization, program).await?;
        let mut demo = Self {
            broker,
            folder: folder.to_owned(),
            hosts: JoinSet::new(),
            shutdown: CancellationToken::new(),
            count,
        };
        for host in hosts {
            let state = folder.join("state").join(host.name.as_str());
            let engine = SimulatedEngine::new(&host.name, host.fails);
            host.seed_history(&state, &engine)?;
            let seed = Seed::read(&key_file(folder, host.name.as_str()))?;
            let config = host.config(demo.url(), seed, state)?;
            demo.hosts.spawn(listener::run(config, Arc::new(engine), demo.shutdown.clone()));
        }
        Ok(demo)
    }

    /// The URL of the broker.
    pub fn url(&self) -> &str {
        self.broker.url()
    }

    /// Connection settings for the operator of the demo.
    pub fn operator(&self) -> Result<Settings, DemoError> {
        let seed = Seed::read(&key_file(&self.folder, OPERATOR))?;
        Ok(Settings::new(self.url(), Some(seed), "homelab-deploy demo", "deploy.responses.ask.ping")?)
    }

    /// Ends every host and the broker.
    pub async fn stop(mut self) -> Result<(), DemoError> {
        self.shutdown.cancel();
        while self.hosts.join_next().await.is_some() {}
        self.broker.stop().await?;
        Ok(())
    }
}

/// The name of the demo's operator.
const OPERATOR: &str = "operator";

fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.nkey"))
}

/// Makes a key for each host and the operator, and the permissions for them.
fn authorization(folder: &Path, hosts: &[DemoHost]) -> Result<String, DemoError> {
    let mut users = Vec::new();
    for host in hosts {
        let (name, tier, role) = (host.name.clone(), host.tier.clone(), Some(host.role.clone()));
        let credential = Credential::Listener { host: name, tier, role };
        users.push(user(folder, host.name.as_str(), credential)?);
    }
    let credential = Credential::Admin { tiers: hosts.iter().map(|host| host.tier.clone()).collect() };
    users.push(user(folder, OPERATOR, credential)?);
    Ok(render_authorization(&users))
}

fn user(folder: &Path, name: &str, credential: Credential) -> Result<User, DemoError> {
    let seed = keys::Seed::generate()?;
    seed.write_new(&key_file(folder, name))?;
    Ok(User { entry: name.to_owned(), public_key: seed.public_key().to_owned(), credential })
}
