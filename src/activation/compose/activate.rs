//! Activate: moves the work tree to the commit and brings up each service that differs, one after the other.

use super::deployment_state::{DeploymentState, ServiceDeployment, ServiceOutcome};
use super::health::HealthError;
use super::inspect::{DesiredService, KnownProject};
use super::run::ComposeRun;
use super::snapshot::ServiceSnapshot;
use crate::activation::JobFailure;
use crate::compose::{ChangeEnd, Container, DockerError, Project, ProjectConfig};
use crate::protocol::{ComponentState, ErrorCode, PhaseName};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// How often a service is tried again after the daemon was away.
const MAX_ATTEMPTS: u32 = 3;

/// Options of each `up`: nothing is pulled or built any more.
const UP_OPTIONS: [&str; 4] = ["--remove-orphans", "--pull", "never", "--no-build"];

impl ComposeRun {
    /// `configs` are the configurations that are known.
    pub(super) async fn activate(
        &self,
        state: &mut DeploymentState,
        configs: BTreeMap<String, ProjectConfig>,
    ) -> Result<(), JobFailure> {
        if self.phase() == PhaseName::Activate {
            self.stages.enter("deploy");
        }
        let failed = |why: String| JobFailure::new(ErrorCode::ActivationFailed, why);
        let tree = self.open_tree().await.map_err(|error| failed(error.message))?;
        let head = tree.head().await;
        let is_clean = tree.local_changes().await.is_ok_and(|changes| changes.is_empty());
        if head.as_ref() != Some(&state.commit) || !is_clean {
            // After an interrupted move, the tree is between two commits.
            let force = !is_clean || head != state.old_commit;
            tree.check_out(&state.commit, force).await.map_err(|error| {
                let repo = self.engine.repo_dir();
                failed(format!("could not move {} to {}: {error}", repo.display(), state.commit))
            })?;
        }
        for service in state.services.iter().filter(|service| service.done.is_none()) {
            self.component(&service.name, ComponentState::Pending, None, "").await;
        }
        let mut snapshot = self.snapshot(state, configs).await;
        for at in 0..state.services.len() {
            self.deploy_service(state, at, &mut snapshot).await?;
        }
        self.stages.complete("deploy");
        Ok(())
    }

    async fn deploy_service(
        &self,
        state: &mut DeploymentState,
        at: usize,
        snapshot: &mut ServiceSnapshot,
    ) -> Result<(), JobFailure> {
        let (name, was_done) = (state.services[at].name.clone(), state.services[at].done);
        let started_at = Instant::now();
        let mut attempt = 0;
        let outcome = loop {
            attempt += 1;
            match self.bring_up(state, at, snapshot).await {
                Ok(outcome) => break outcome,
                Err(HealthError::Docker(error)) => {
                    if attempt < MAX_ATTEMPTS && self.await_daemon_after(state, &error).await? {
                        snapshot.forget_containers();
                        continue;
                    }
                    let advice =
                        if error.is_disk_full() { "; free disk space, then deploy again" } else { "" };
                    return Err(self.service_failed(&name, started_at, &format!("{error}{advice}")).await);
                }
                Err(HealthError::NotWell(why)) => {
                    return Err(self.service_failed(&name, started_at, &why).await);
                }
            }
        };
        state.services[at].done = Some(outcome);
        // A resumed job finds the others unchanged again.
        if state.services[at].touched {
            self.save(state).await;
        }
        self.stages.last_service(&name);
        if was_done == Some(outcome) {
            return Ok(());
        }
        let (component, message) = match outcome {
            ServiceOutcome::Unchanged => (ComponentState::Unchanged, ""),
            ServiceOutcome::Changed => (ComponentState::Done, ""),
            ServiceOutcome::Stopped => (ComponentState::Unchanged, "stays stopped"),
            ServiceOutcome::Removed => (ComponentState::Done, "removed"),
        };
        self.component(&name, component.clone(), Some(started_at), message).await;
        let line =
            json!({ "event": "service", "service": name, "state": component.as_str(), "message": message });
        self.log(&format!("[STRUCT] {line}")).await;
        Ok(())
    }

    async fn service_failed(&self, name: &str, started_at: Instant, why: &str) -> JobFailure {
        self.component(name, ComponentState::Failed, Some(started_at), why).await;
        JobFailure::new(ErrorCode::ActivationFailed, format!("{name}: {why}"))
    }

    /// Brings up one service if it differs, and waits until it is healthy. Does nothing to a service that was brought up before.
    async fn bring_up(
        &self,
        state: &mut DeploymentState,
        at: usize,
        snapshot: &mut ServiceSnapshot,
    ) -> Result<ServiceOutcome, HealthError> {
        let service = state.services[at].clone();
        let (name, repo) = (&service.name, self.engine.repo_dir());
        let containers = self.containers_now(snapshot, name).await?;
        if service.removed {
            if !containers.is_empty() {
                self.touch(state, at).await?;
                snapshot.forget_containers();
                ended(self.run_change(name, self.engine.docker.remove_project(name)).await)?;
            }
            return Ok(ServiceOutcome::Removed);
        }
        let (mut project, mut desired) = self.desired_now(snapshot, &service).await?;
        if desired.is_remembered && desired.difference(&service, &containers).is_some() {
            (project, desired) = self.read_desired(&service, KnownProject::default()).await?;
        }
        if let Some(config) = &mut state.services[at].config {
            config.hashes.clone_from(&desired.hashes);
        }
        let mounted = self.mounted_objects(&state.commit, &repo, &desired.config).await;
        let recreate = to_recreate(&service, &desired, &mounted, &containers, &repo);
        let difference = desired.difference(&service, &containers).or_else(|| {
            (!recreate.is_empty()).then(|| format!("the mounted files of {} differ", recreate.join(", ")))
        });
        let is_stopped = service.is_stopped_by_hand();
        if let Some(difference) = difference {
            self.log(&format!("{name}: {difference}")).await;
            self.touch(state, at).await?;
            snapshot.forget_containers();
            self.up(&service, &desired, &project, &recreate).await?;
        } else if !service.touched || service.was_done {
            state.services[at].mounted = mounted;
            return Ok(if is_stopped { ServiceOutcome::Stopped } else { ServiceOutcome::Unchanged });
        }
        state.services[at].mounted = mounted;
        if is_stopped {
            return Ok(ServiceOutcome::Stopped);
        }
        if !snapshot.is_changed() {
            // The listener that has brought it up died while it waited.
            self.component(name, ComponentState::Running, None, "").await;
            snapshot.forget_containers();
        }
        self.wait_until_healthy(&service).await?;
        Ok(ServiceOutcome::Changed)
    }

    /// Records durably that a service is about to change. Without the record, a later listener would not roll it back.
    async fn touch(&self, state: &mut DeploymentState, at: usize) -> Result<(), HealthError> {
        if state.services[at].done.is_none() {
            self.component(&state.services[at].name, ComponentState::Running, None, "").await;
        }
        if !state.services.iter().any(|service| service.touched) {
            self.reserve_container(state).await;
        }
        let was_touched = std::mem::replace(&mut state.services[at].touched, true);
        state.save(&self.job.dir).map_err(|error| {
            state.services[at].touched = was_touched;
            HealthError::NotWell(format!("{error}; free disk space, then deploy again"))
        })
    }

    /// Runs `docker compose up`, in steps: what was stopped by hand is created and not started.
    async fn up(
        &self,
        service: &ServiceDeployment,
        desired: &DesiredService,
        project: &Project,
        recreate: &[String],
    ) -> Result<(), DockerError> {
        let is_stopped = |name: &&String| service.stopped_by_hand.contains(name);
        let (stopped, running): (Vec<&String>, Vec<&String>) =
            desired.config.services.keys().partition(is_stopped);
        if !running.is_empty() {
            let names = if stopped.is_empty() { Vec::new() } else { running };
            self.up_once(project, &["--detach"], &names).await?;
        }
        if !stopped.is_empty() {
            self.up_once(project, &["--no-start", "--no-deps"], &stopped).await?;
        }
        // Those that were not replaced for another reason.
        let containers = self.engine.docker.containers(&project.name).await?;
        let is_old =
            |name: &&String| containers.iter().any(|now| now.service == **name && is_of(service, now));
        for (start, names) in [("--detach", false), ("--no-start", true)] {
            let left: Vec<&String> = recreate
                .iter()
                .filter(is_old)
                .filter(|name| service.stopped_by_hand.contains(name) == names)
                .collect();
            if !left.is_empty() {
                self.up_once(project, &[start, "--no-deps", "--force-recreate"], &left).await?;
            }
        }
        Ok(())
    }

    /// Runs one `docker compose up`. What a killed Compose has left behind is removed before, and once more on a conflict.
    pub(super) async fn up_once(
        &self,
        project: &Project,
        options: &[&str],
        services: &[&String],
    ) -> Result<(), DockerError> {
        let mut arguments = vec!["up"];
        arguments.extend(options);
        arguments.extend(UP_OPTIONS);
        arguments.extend(services.iter().map(|name| name.as_str()));
        for is_last in [false, true] {
            for name in self.engine.docker.remove_leftovers(&project.name).await? {
                self.log(&format!("removed {name}, which a docker compose that was killed has left")).await;
            }
            let end = self.run_change(&project.name, self.engine.docker.change(project, &arguments)).await;
            if is_last || !end.is_conflict() {
                return ended(end);
            }
        }
        Ok(())
    }
}

/// The services of the Compose file whose mounted files have changed and whose containers are still the old ones.
fn to_recreate(
    service: &ServiceDeployment,
    desired: &DesiredService,
    mounted: &BTreeMap<String, String>,
    containers: &[Container],
    repo: &std::path::Path,
) -> Vec<String> {
    let has_changed = |path: &std::path::PathBuf| {
        let path = path.strip_prefix(repo).ok().and_then(|path| path.to_str());
        path.is_some_and(|path| {
            service.mounted.get(path).is_some_and(|before| mounted.get(path).is_some_and(|now| now != before))
        })
    };
    let names = desired.config.services.keys().filter(|name| {
        desired.config.mounted_paths(name).iter().any(has_changed)
            && containers.iter().any(|container| container.service == **name && is_of(service, container))
    });
    names.cloned().collect()
}

/// Whether a container is from before the job.
fn is_of(service: &ServiceDeployment, container: &Container) -> bool {
    service.old.iter().any(|old| old.id == container.id)
}

fn ended(end: ChangeEnd) -> Result<(), DockerError> {
    end.error.map_or(Ok(()), Err)
}
