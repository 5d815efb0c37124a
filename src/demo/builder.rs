//! The demo's builder: a real builder with an engine that simulates the builds of the demo's hosts.

use super::commit::{self, COMMITS, Commit};
use super::machine::SimulatedSystem;
use super::scenario::Scenario;
use super::timeline::broken_log;
use super::{DemoHost, DemoPace};
use crate::builder::{BuildEngine, BuildFuture, BuildRules, BuilderConfig, HostsFuture, Repo};
use crate::nats::ConnectionSettings;
use crate::nix::{BuildError, FlakeAttr, FlakeHosts, FlakeUrl, HostBuildSpec, LockedFlake, NixLine};
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, NameError, Revision};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Name of the repository in the builder's configuration.
const REPO: &str = "fleet";
/// Number of parallel host builds, and the time limit for all of them.
const PARALLEL: usize = 3;
const TIMEOUT: Duration = Duration::from_hours(1);

/// Configuration of a builder for this flake; `None` if the flake is only a placeholder.
pub(super) fn config(
    flake: &str,
    settings: ConnectionSettings,
    directory: &Path,
) -> Result<Option<BuilderConfig>, NameError> {
    let local = flake.parse::<FlakeUrl>().ok().zip(Revision::new("main").ok());
    let Some((url, branch)) = local.filter(|_| flake.starts_with("git+file:")) else { return Ok(None) };
    let repo = Name::new(REPO)?;
    let rules = BuildRules {
        repos: BTreeMap::from([(repo.clone(), Repo { url, branch, attrs: BTreeMap::new() })]),
        default: Some(repo),
        timeout: TIMEOUT,
        parallel: PARALLEL,
        keep_going: true,
        post_build: Vec::new(),
        trusted_keys: Vec::new(),
        fleet: None,
    };
    let state_dir = directory.join("builder");
    Ok(Some(BuilderConfig { rules, settings, state_dir, metrics: None, warnings: Vec::new() }))
}

/// Simulates builds.
#[derive(Debug, Clone)]
pub(super) struct SimulatedBuilds {
    hosts: Arc<[DemoHost]>,
    pace: f64,
    /// Store paths of the systems that were already built.
    built: Arc<Mutex<HashSet<String>>>,
}

impl SimulatedBuilds {
    pub(super) fn of(hosts: &[DemoHost], pace: DemoPace) -> Self {
        // The services of the other hosts are not built.
        let hosts = hosts.iter().filter(|host| host.scenario != Scenario::Compose).cloned().collect();
        Self { hosts, pace: pace.factor(), built: Arc::default() }
    }

    /// Waits this many milliseconds, scaled by the pace of the demo.
    async fn pause(&self, millis: u64) {
        sleep(Duration::from_millis(millis).mul_f64(self.pace)).await;
    }

    async fn play(self, spec: HostBuildSpec, log_tx: mpsc::Sender<NixLine>) -> Result<PathBuf, BuildError> {
        let (name, flake) = (spec.host.to_string(), spec.flake.without_credentials());
        let Some(host) = self.hosts.iter().find(|host| host.name == spec.host) else {
            let advice = "list its hosts with `nix flake show`".to_owned();
            return Err(BuildError::MissingHost { attr: name, flake, advice });
        };
        let Some(commit) = spec.locked.commit.as_deref().and_then(Commit::named) else {
            let message = "the demo has no such commit".to_owned();
            return Err(BuildError::Evaluation { host: name, flake, message });
        };
        self.pause(900).await;
        let system = SimulatedSystem::of(host, commit).path;
        if self.built.lock().unwrap_or_else(PoisonError::into_inner).contains(&system) {
            return Ok(system.into());
        }
        let mut random = fastrand::Rng::with_seed(commit::seed(&system));
        for package in packages(host, commit) {
            let derivation = format!("{}.drv", commit::store_path(&package, commit.hash));
            let send_line = |line: String| log_tx.send(NixLine::Log(line));
            // The channel is closed only if the builder stops.
            let _ = send_line(format!("building '{derivation}'...")).await;
            self.pause(random.u64(300..=1400)).await;
            if commit.is_broken() && package.starts_with("nginx-") {
                for line in broken_log(&package, &derivation) {
                    let _ = send_line(line).await;
                }
                let message = format!("build of {package} failed with exit code 2");
                return Err(BuildError::Failed { host: name, message, log: String::new() });
            }
        }
        self.built.lock().unwrap_or_else(PoisonError::into_inner).insert(system.clone());
        Ok(system.into())
    }
}

impl BuildEngine for SimulatedBuilds {
    fn hosts(&self, _: FlakeUrl, _: LockedFlake, stop: CancellationToken) -> HostsFuture {
        let builds = self.clone();
        Box::pin(async move {
            let names = builds
                .hosts
                .iter()
                .map(|host| (host.name.clone(), FlakeAttr::from(&host.name)))
                .collect_map();
            tokio::select! {
                () = builds.pause(1200) => Ok(FlakeHosts { names, skipped: Vec::new() }),
                () = stop.cancelled() => Err(BuildError::Stopped { host: "all".to_owned() }),
            }
        })
    }

    fn build(
        &self,
        spec: HostBuildSpec,
        log_tx: mpsc::Sender<NixLine>,
        stop: CancellationToken,
    ) -> BuildFuture {
        let (builds, host) = (self.clone(), spec.host.to_string());
        Box::pin(async move {
            tokio::select! {
                built = builds.play(spec, log_tx) => built,
                () = stop.cancelled() => Err(BuildError::Stopped { host }),
            }
        })
    }
}

/// The derivations to build for a host at a commit: changed packages, and the system around them.
fn packages(host: &DemoHost, commit: &Commit) -> Vec<String> {
    let role = host.role.as_str();
    let before = commit.parent.and_then(|at| COMMITS.get(at)).map(|parent| parent.packages_of(role));
    let before = before.unwrap_or_default();
    let new =
        commit.packages_of(role).into_iter().filter(|(name, version)| before.get(name) != Some(version));
    let mut packages: Vec<_> = new.map(|(name, version)| format!("{name}-{version}")).collect();
    packages.extend(["system-units", "etc"].map(str::to_owned));
    packages.push(format!("nixos-system-{}-{}", host.name, host.scenario.release().0));
    packages
}
