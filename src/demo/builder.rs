//! The demo's builder: a real one, whose engine plays the builds of the demo's hosts in time.

use super::commit::{COMMITS, Commit};
use super::machine::System;
use super::script::broken_log;
use super::{DemoHost, Pace, store};
use crate::builder::{Building, Config, Engine, Listing, Repo, Rules};
use crate::bus::Settings;
use crate::nix::{BuildError, BuildOrder, FlakeAttr, FlakeUrl, Hosts, Locked, NixLine};
use crate::protocol::{Name, NameError, Revision};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What the builder calls the repository of the hosts.
const REPO: &str = "fleet";
/// How many hosts are built at a time, and how long all may take.
const PARALLEL: usize = 3;
const TIMEOUT: Duration = Duration::from_hours(1);

/// The configuration of a builder of this flake; `None` where the flake leads nowhere.
pub(super) fn config(flake: &str, settings: Settings, folder: &Path) -> Result<Option<Config>, NameError> {
    let local = flake.parse::<FlakeUrl>().ok().zip(Revision::new("main").ok());
    let Some((url, branch)) = local.filter(|_| flake.starts_with("git+file:")) else { return Ok(None) };
    let repo = Name::new(REPO)?;
    let rules = Rules {
        repos: BTreeMap::from([(repo.clone(), Repo { url, branch, attrs: BTreeMap::new() })]),
        default: Some(repo),
        timeout: TIMEOUT,
        parallel: PARALLEL,
        keep_going: true,
        post_build: Vec::new(),
        trusted_keys: Vec::new(),
        fleet: None,
    };
    let state_dir = folder.join("builder");
    Ok(Some(Config { rules, settings, state_dir, metrics: None, warnings: Vec::new() }))
}

/// Pretends to build.
#[derive(Debug, Clone)]
pub(super) struct SimulatedBuilds {
    hosts: Arc<[DemoHost]>,
    pace: f64,
    /// The systems that were built before.
    built: Arc<Mutex<HashSet<String>>>,
}

impl SimulatedBuilds {
    pub(super) fn of(hosts: &[DemoHost], pace: Pace) -> Self {
        Self { hosts: hosts.into(), pace: pace.factor(), built: Arc::default() }
    }

    /// Time passes: so many milliseconds for a person to follow.
    async fn pause(&self, millis: u64) {
        sleep(Duration::from_millis(millis).mul_f64(self.pace)).await;
    }

    async fn play(self, order: BuildOrder, told: mpsc::Sender<NixLine>) -> Result<PathBuf, BuildError> {
        let (name, flake) = (order.host.to_string(), order.flake.without_credentials());
        let Some(host) = self.hosts.iter().find(|host| host.name == order.host) else {
            let advice = "look at `nix flake show` for the hosts it has".to_owned();
            return Err(BuildError::MissingHost { attr: name, flake, advice });
        };
        let Some(commit) = order.locked.commit.as_deref().and_then(Commit::named) else {
            let said = "this commit is none of the demo's".to_owned();
            return Err(BuildError::Evaluation { host: name, flake, said });
        };
        self.pause(900).await;
        let system = System::of(host, commit).path;
        if self.built.lock().unwrap_or_else(PoisonError::into_inner).contains(&system) {
            return Ok(system.into());
        }
        let mut random = fastrand::Rng::with_seed(store::seed(&system));
        for package in packages(host, commit) {
            let derivation = format!("{}.drv", store::path(&package, commit.hash));
            let say = |line: String| told.send(NixLine::Log(line));
            // Nobody listens any more where the builder goes away.
            let _ = say(format!("building '{derivation}'...")).await;
            self.pause(random.u64(300..=1400)).await;
            if commit.is_broken() && package.starts_with("nginx-") {
                for line in broken_log(&package, &derivation) {
                    let _ = say(line).await;
                }
                let said = format!("build of {package} failed with exit code 2");
                return Err(BuildError::Failed { host: name, said, log: String::new() });
            }
        }
        self.built.lock().unwrap_or_else(PoisonError::into_inner).insert(system.clone());
        Ok(system.into())
    }
}

impl Engine for SimulatedBuilds {
    fn hosts(&self, _: FlakeUrl, _: Locked, stop: CancellationToken) -> Listing {
        let builds = self.clone();
        Box::pin(async move {
            let names =
                builds.hosts.iter().map(|host| (host.name.clone(), FlakeAttr::from(&host.name))).collect();
            tokio::select! {
                () = builds.pause(1200) => Ok(Hosts { names, skipped: Vec::new() }),
                () = stop.cancelled() => Err(BuildError::Stopped { host: "all".to_owned() }),
            }
        })
    }

    fn build(&self, order: BuildOrder, told: mpsc::Sender<NixLine>, stop: CancellationToken) -> Building {
        let (builds, host) = (self.clone(), order.host.to_string());
        Box::pin(async move {
            tokio::select! {
                built = builds.play(order, told) => built,
                () = stop.cancelled() => Err(BuildError::Stopped { host }),
            }
        })
    }
}

/// What is to be built of a host at a commit: what it changes, and the system around that.
fn packages(host: &DemoHost, commit: &Commit) -> Vec<String> {
    let role = host.role.as_str();
    let before = commit.parent.and_then(|at| COMMITS.get(at)).map(|parent| parent.packages_of(role));
    let before = before.unwrap_or_default();
    let new =
        commit.packages_of(role).into_iter().filter(|(name, version)| before.get(name) != Some(version));
    let mut packages: Vec<_> = new.map(|(name, version)| format!("{name}-{version}")).collect();
    packages.extend(["system-units", "etc"].map(str::to_owned));
    packages.push(format!("nixos-system-{}-{}", host.name, host.part.release().0));
    packages
}
