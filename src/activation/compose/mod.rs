//! The engine for hosts with Docker Compose: it brings up the services of a git repository, one after the other.
//!
//! No worker is needed, because nothing that a service does restarts the listener. What the engine must know to resume or roll back
//! is saved in the job's directory before the first change.
//!
//! See ARCHITECTURE.md, "Docker Compose hosts".

mod activate;
mod build;
mod check;
mod commit;
mod deployed_tree;
mod deployment_state;
mod diagnose;
mod disk_reserve;
mod dry_activate;
mod generations;
mod health;
mod inspect;
mod persist;
mod prepare;
mod rollback;
mod run;
mod service_configs;
mod snapshot;
mod stage_files;
mod verify;

use super::{Engine, Facts, FailedUnitsFuture, JobEvents, JobFuture, JobSpec, Policy, WorkerSpawner};
use crate::compose::{Docker, EnvFile, ExposurePolicy, HostFile};
use crate::git::{CommitPolicy, Secrets};
use crate::jobs::JobRecord;
use crate::nix::FlakeUrl;
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, EngineKind, Name};
use generations::Generations;
use run::ComposeRun;
use std::fs;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// Deploys the services of a repository with Docker Compose.
#[derive(Debug, Clone)]
pub struct ComposeEngine {
    /// The repository to deploy.
    pub repo: FlakeUrl,
    /// Which commits of the repository may be deployed.
    pub commits: CommitPolicy,
    /// Name of this host, which is that of its node.
    pub hostname: Name,
    /// The directory of the work tree, the host's own files, the data and the logs.
    pub root: PathBuf,
    /// How docker and Compose are called.
    pub docker: Docker,
    /// What a violated exposure leads to.
    pub exposure: ExposurePolicy,
    /// Whether the last known commit of a branch is deployed if the repository is unreachable.
    pub offline_ok: bool,
    /// The state directory and the host.
    pub spawner: WorkerSpawner,
    /// Settings for deployments to this host.
    pub policy: Policy,
}

impl ComposeEngine {
    /// The work tree of the repository.
    fn repo_dir(&self) -> PathBuf {
        self.root.join("repo")
    }

    /// The host's own files, with a directory for each service.
    fn config_dir(&self) -> PathBuf {
        self.root.join("config")
    }

    /// The directory with what the engine keeps between jobs.
    fn state_dir(&self) -> PathBuf {
        self.spawner.state_dir.join("compose")
    }

    /// The lock that each command holds while it changes containers.
    fn change_lock(&self) -> PathBuf {
        self.spawner.state_dir.join("compose.lock")
    }

    /// The services of the host as of the last deployment, or of the work tree if it was deployed by other means.
    fn services(&self) -> Vec<String> {
        let known = Generations::read(&self.state_dir()).components;
        if !known.is_empty() {
            return known;
        }
        let file = HostFile::assigned(&self.repo_dir(), self.hostname.as_str());
        file.map(|file| file.content.into_iter().map(|service| service.name).collect()).unwrap_or_default()
    }

    /// The values of all `.env` files, and the credentials of the repository.
    fn secrets(&self) -> Secrets {
        let services = fs::read_dir(self.config_dir()).into_iter().flatten().flatten();
        let files = services.filter_map(|service| EnvFile::read(&service.path().join(".env")).ok());
        let values: Vec<_> = files.flat_map(|file| file.redactions().collect::<Vec<_>>()).collect();
        values.into_iter().collect()
    }
}

impl Engine for ComposeEngine {
    fn actions(&self) -> Vec<Action> {
        vec![
            Action::Switch,
            Action::DryActivate,
            Action::Build,
            Action::Cancel,
            Action::Rollback,
            Action::Reboot,
            Action::Resume,
            Action::Diagnose,
        ]
    }

    fn kind(&self) -> Option<EngineKind> {
        Some(EngineKind::Compose)
    }

    fn components(&self) -> Vec<String> {
        self.services()
    }

    fn mask(&self, text: &str) -> String {
        self.secrets().mask(&self.repo.mask(text))
    }

    fn facts(&self) -> Facts {
        let generations = Generations::read(&self.state_dir());
        let current = generations.current();
        Facts {
            system: current.map(|current| system_of(&current.commit)),
            generation: current.map(|current| current.number),
            ..Facts::read(&self.spawner.host.root)
        }
    }

    fn failed_units(&self) -> FailedUnitsFuture {
        let engine = self.clone();
        Box::pin(async move {
            let not_well = engine.docker.projects_not_well().await.ok()?;
            let services = engine.services();
            Some(not_well.into_iter().filter(|name| services.contains(name)).collect_set())
        })
    }

    fn run(&self, job: JobSpec, events: JobEvents, stop: CancellationToken) -> JobFuture {
        let run = ComposeRun::new(self.clone(), job, events, stop);
        Box::pin(async move { run.run().await })
    }

    fn can_resume(&self) -> bool {
        true
    }

    fn resume(
        &self,
        job: JobSpec,
        record: Box<JobRecord>,
        events: JobEvents,
        stop: CancellationToken,
    ) -> JobFuture {
        let run = ComposeRun::new(self.clone(), job, events, stop);
        Box::pin(async move { run.resume(&record).await })
    }

    fn can_repeat(&self) -> bool {
        true
    }

    fn boot_id(&self) -> Option<String> {
        self.spawner.host.boot_id()
    }
}

/// The name of what runs, in the place of a NixOS host's store path.
fn system_of(commit: &str) -> String {
    format!("compose:{commit}")
}
