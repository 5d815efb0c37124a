//! Prepare: checks docker and the disk, fetches the commit, and records what runs.

use super::commit::ChosenCommit;
use super::deployed_tree::DeployedTree;
use super::deployment_state::{DeploymentState, ServiceDeployment};
use super::generations::Generations;
use super::inspect::previous_state;
use super::run::ComposeRun;
use super::service_configs::ServiceConfigs;
use crate::activation::{JobEvent, JobFailure, free_bytes};
use crate::compose::{
    AssignedService, ChangeLock, Container, DockerError, HostFile, Node, Topology, order_services,
};
use crate::git::Remote;
use crate::protocol::{Action, ErrorCode, OnFailure, PhaseName};
use crate::text::{closest_matches, did_you_mean, format::size};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a job is about to deploy.
pub(super) struct ComposePlan {
    /// What is saved before the first change.
    pub(super) state: DeploymentState,
    /// The services of this job, in the sequence in which they are deployed.
    pub(super) services: Vec<AssignedService>,
    /// All services of the host.
    pub(super) assigned: Vec<AssignedService>,
    /// The node of the host.
    pub(super) node: Node,
    /// Warnings for the report.
    pub(super) warnings: Vec<String>,
    /// A work tree of the commit: that of the host if it is there already, otherwise a scratch tree.
    pub(super) tree: PathBuf,
    /// The configurations in that tree, from the build on.
    pub(super) configs: ServiceConfigs,
    /// The services whose configuration changes.
    pub(super) changed: BTreeSet<String>,
}

/// The files of a commit that describe the host.
struct HostServices {
    assigned: Vec<AssignedService>,
    node: Node,
    warnings: Vec<String>,
}

/// What was found on the host.
struct HostFindings {
    old_commit: Option<String>,
    /// The version of Compose.
    compose: String,
    containers: BTreeMap<String, Vec<Container>>,
}

impl ComposeRun {
    pub(super) async fn prepare(&self) -> Result<ComposePlan, JobFailure> {
        self.enter("prepare", PhaseName::Prepare).await;
        let unhealthy =
            |why: String| JobFailure::new(ErrorCode::Unhealthy, format!("{why}; nothing was changed"));
        if ChangeLock::is_held(&self.engine.change_lock())
            .map_err(|error| unhealthy(format!("could not check the lock: {error}")))?
        {
            return Err(unhealthy("a docker compose of an earlier job is still running".to_owned()));
        }
        let unhealthy_docker = |error: DockerError| unhealthy(error.to_string());
        let docker = &self.engine.docker;
        let versions = async { tokio::try_join!(docker.version(), docker.compose_version()) };
        let (versions, containers) = tokio::join!(versions, docker.all_containers());
        let (version, compose) = versions.map_err(unhealthy_docker)?;
        let containers = containers.map_err(unhealthy_docker)?;
        self.log(&format!("docker {version}, Docker Compose {compose}")).await;
        self.check_free_space("the Compose root", &self.engine.root).map_err(unhealthy)?;
        self.check_free_space("the state directory", &self.engine.spawner.state_dir).map_err(unhealthy)?;

        let tree = self.open_tree().await.map_err(|why| unhealthy(why.message))?;
        let old_commit = tree.head().await;
        let local = tree.local_changes().await.map_err(|error| unhealthy(error.to_string()))?;
        if let Some(first) = local.first() {
            let more = if local.len() > 1 { format!(" and {} more", local.len() - 1) } else { String::new() };
            return Err(unhealthy(format!(
                "{} has local changes in {first}{more}; commit and push them, or discard them with `git -C {0} checkout .`",
                self.engine.repo_dir().display()
            )));
        }
        let (chosen, generation) = self.target(&tree).await?;
        self.send(JobEvent::Commit(chosen.commit.clone())).await;
        if let Some(origin) = chosen.origin.clone() {
            self.send(JobEvent::Origin(origin)).await;
        }
        self.log(&format!(
            "deploying commit {} of {}",
            chosen.commit,
            self.engine.repo.without_credentials()
        ))
        .await;
        let target = if old_commit.as_ref() == Some(&chosen.commit) {
            self.engine.repo_dir()
        } else {
            tree.check_out_to(&self.scratch(), &chosen.commit)
                .await
                .map_err(|error| unhealthy(format!("could not check out {}: {error}", chosen.commit)))?;
            self.scratch()
        };
        let host = HostFindings { old_commit, compose, containers };
        let planned = self.plan_services(target, host, chosen, generation).await;
        if planned.is_err() {
            self.remove_scratch().await;
        }
        planned
    }

    /// The commit of this job, and the number of the generation that is deployed again.
    async fn target(&self, tree: &DeployedTree) -> Result<(ChosenCommit, Option<u64>), JobFailure> {
        let not_found =
            |why: String| JobFailure::new(ErrorCode::NotFound, format!("{why}; nothing was changed"));
        let request = &self.job.request;
        match request.action {
            Action::Rollback => {
                let generations = Generations::read(&self.engine.state_dir());
                let earlier = generations.earlier(request.generation).map_err(not_found)?;
                let (commit, number) = (earlier.commit.clone(), earlier.number);
                if !tree.has(&commit).await {
                    return Err(not_found(format!(
                        "commit {commit} of generation {number} is not in the clone"
                    )));
                }
                self.log(&format!("rolling back to generation {number}")).await;
                Ok((ChosenCommit { commit, origin: None, note: None }, Some(number)))
            }
            Action::Resume => {
                let resumed = self.job.resumed.as_ref();
                let Some(resumed) = resumed else {
                    return Err(not_found("the request names no job to continue".to_owned()));
                };
                let Some(commit) = resumed.report.commit.as_ref().map(ToString::to_string) else {
                    let message = format!("job {} has no commit yet: deploy again", resumed.request.id);
                    return Err(not_found(message));
                };
                if !tree.has(&commit).await {
                    return Err(not_found(format!("commit {commit} is not in the clone: deploy again")));
                }
                Ok((ChosenCommit { commit, origin: resumed.deployed.clone(), note: None }, None))
            }
            _ => Ok((self.choose_commit(tree, &self.remote()?).await?, None)),
        }
    }

    async fn plan_services(
        &self,
        tree: PathBuf,
        host: HostFindings,
        chosen: ChosenCommit,
        generation: Option<u64>,
    ) -> Result<ComposePlan, JobFailure> {
        let ChosenCommit { commit, origin, note } = chosen;
        let HostFindings { old_commit, compose, containers } = host;
        let inventory = match self.inventory(&tree) {
            Ok(inventory) => inventory,
            Err(why) => {
                self.enter("validate", PhaseName::Check).await;
                return Err(JobFailure::new(ErrorCode::CheckRefused, format!("{why}; nothing was changed")));
            }
        };
        let HostServices { assigned, node, warnings } = inventory;
        let selected = |service: &&AssignedService| {
            self.job.services.is_empty() || self.job.services.iter().any(|name| name.as_str() == service.name)
        };
        let services: Vec<AssignedService> = assigned.iter().filter(selected).cloned().collect();
        let generations = Generations::read(&self.engine.state_dir());
        let resumed = self.resumed_state();
        let mut state = DeploymentState {
            old_commit: resumed.as_ref().map_or(old_commit.clone(), |resumed| resumed.old_commit.clone()),
            commit,
            origin: origin.filter(|_| generation.is_none()),
            generation,
            assigned: assigned.iter().map(|service| service.name.clone()).collect(),
            unassigned: Vec::new(),
            services: Vec::new(),
            moved_tags: BTreeMap::new(),
            no_rollback: self.engine.policy.no_rollback
                || self.job.request.on_failure == Some(OnFailure::Keep),
            failure: None,
            rolled_back: false,
            notes: note.into_iter().collect(),
        };
        for service in &services {
            let kept = resumed
                .as_ref()
                .and_then(|resumed| resumed.services.iter().find(|old| old.name == service.name));
            let mut previous = match kept {
                // What an interrupted job has stopped was not stopped by hand.
                Some(kept) => ServiceDeployment {
                    was_done: kept.done.is_some(),
                    done: None,
                    restored: false,
                    ..kept.clone()
                },
                None => previous(&service.name, &containers, &generations),
            };
            previous.timeout_s = service.timeout.unwrap_or(self.engine.policy.health_timeout.as_secs());
            previous.mounted = match generations.mounted.get(&service.name) {
                Some(known) => known.clone(),
                None => self.mounted_before(&service.name, old_commit.as_deref()).await,
            };
            if let Some(number) = generation
                && let Ok(earlier) = generations.earlier(Some(number))
            {
                previous.images = earlier.services.get(&service.name).cloned().unwrap_or_default();
            }
            state.services.push(previous);
        }
        self.find_unassigned(&mut state, &containers, &generations).await;
        let configs = ServiceConfigs::of_compose(&compose);
        Ok(ComposePlan { state, services, assigned, node, warnings, tree, configs, changed: BTreeSet::new() })
    }

    /// The mounted files of a service that was deployed by other means, as of the work tree's commit.
    async fn mounted_before(&self, name: &str, old_commit: Option<&str>) -> BTreeMap<String, String> {
        let (tree, Some(commit)) = (self.engine.repo_dir(), old_commit) else { return BTreeMap::new() };
        match self.engine.docker.config(&self.project(name, &tree)).await {
            Ok(config) => self.mounted_objects(commit, &tree, &config).await,
            Err(_) => BTreeMap::new(),
        }
    }

    /// Finds services that the host does not run any more: they are removed with `prune`, otherwise reported.
    async fn find_unassigned(
        &self,
        state: &mut DeploymentState,
        containers: &BTreeMap<String, Vec<Container>>,
        generations: &Generations,
    ) {
        let mut names = self.engine.services();
        names.extend(generations.unassigned.iter().cloned());
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !state.assigned.contains(name));
        for name in names {
            let previous = previous(&name, containers, generations);
            if !previous.existed() {
                continue;
            }
            if self.job.prune {
                state.services.push(ServiceDeployment { removed: true, ..previous });
            } else {
                let note = format!(
                    "{name} is not a service of this host any more, but has containers: remove them with \
                                    `deploy --prune`"
                );
                self.note(state, note).await;
                state.unassigned.push(name);
            }
        }
    }

    /// Reads the files of a work tree that describe the host.
    fn inventory(&self, tree: &Path) -> Result<HostServices, String> {
        let host = self.engine.hostname.as_str();
        let topology = Topology::read(tree).map_err(|error| error.to_string())?;
        let node = topology.content.node(host).map_err(|error| error.to_string())?;
        let mut warnings = topology.warnings;
        let file = HostFile::assigned(tree, host).map_err(|error| error.to_string())?;
        warnings.extend(file.warnings);
        let assigned = order_services(&file.content).map_err(|error| error.to_string())?;
        for wanted in &self.job.services {
            let names: Vec<&str> = assigned.iter().map(|service| service.name.as_str()).collect();
            if !names.contains(&wanted.as_str()) {
                let advice = did_you_mean(&closest_matches(wanted.as_str(), names));
                return Err(format!(
                    "{wanted} is not a service of {host} in {}{advice}",
                    HostFile::path(host)
                ));
            }
        }
        Ok(HostServices { assigned, node, warnings })
    }

    /// The state of the job that this one continues, unless it was rolled back.
    fn resumed_state(&self) -> Option<DeploymentState> {
        let resumed = self.job.resumed.as_ref()?;
        let dir = crate::jobs::JobDir::new(&self.engine.spawner.state_dir, &resumed.request.id);
        DeploymentState::read(&dir).filter(|state| !state.rolled_back)
    }

    pub(super) fn remote(&self) -> Result<Remote, JobFailure> {
        self.engine.repo.remote().ok_or_else(|| {
            JobFailure::new(ErrorCode::Internal, "the repository of --repo-url is not a git repository")
        })
    }

    pub(super) async fn open_tree(&self) -> Result<DeployedTree, JobFailure> {
        let dir = self.engine.repo_dir();
        DeployedTree::open(&dir, &self.remote()?).await.map_err(|error| {
            JobFailure::new(
                ErrorCode::Unhealthy,
                format!("could not use the clone in {}: {error}", dir.display()),
            )
        })
    }

    pub(super) async fn remove_scratch(&self) {
        if !self.scratch().exists() {
            return;
        }
        if let Ok(tree) = self.open_tree().await {
            tree.remove_scratch(&self.scratch()).await;
        }
    }

    fn check_free_space(&self, what: &str, path: &Path) -> Result<(), String> {
        let required = self.engine.policy.min_free;
        let free = path.ancestors().find_map(free_bytes);
        match free.filter(|free| *free < required) {
            Some(free) => Err(format!(
                "only {} are free on {what}, but --min-free requires {}",
                size(free),
                size(required)
            )),
            None => Ok(()),
        }
    }
}

/// The state of a service before this job.
fn previous(
    name: &str,
    containers: &BTreeMap<String, Vec<Container>>,
    generations: &Generations,
) -> ServiceDeployment {
    let containers = containers.get(name).map(Vec::as_slice).unwrap_or_default();
    let stopped = generations.stopped.get(name).map(Vec::as_slice).unwrap_or_default();
    previous_state(name, containers, stopped)
}
