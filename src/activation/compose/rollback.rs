//! Rollback: the services that this job has changed return to their old configuration and images, in reverse sequence.

use super::deployment_state::{DeploymentState, ServiceDeployment};
use super::health::HealthError;
use super::inspect::KnownProject;
use super::run::ComposeRun;
use crate::activation::JobFailure;
use crate::compose::{Container, DockerError, ProjectConfig};
use crate::protocol::{ComponentState, ErrorCode, PhaseName};
use crate::text::format::short_commit;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

impl ComposeRun {
    /// Rolls back, and returns the failure of the job with the result.
    pub(super) async fn roll_back(&self, state: &mut DeploymentState, failure: JobFailure) -> JobFailure {
        self.release_space(state).await;
        self.save(state).await;
        self.enter("rollback", PhaseName::Rollback).await;
        let mut problems = Vec::new();
        if let Err(why) = self.restore_tree(state).await {
            problems.push(why);
        }
        self.restore_tags(&state.moved_tags.clone()).await;
        for at in (0..state.services.len()).rev() {
            if !state.services[at].touched || state.services[at].restored {
                continue;
            }
            let name = state.services[at].name.clone();
            let started_at = Instant::now();
            let mut restored = self.restore_service(state, at).await;
            if let Err(HealthError::Docker(error)) = &restored {
                match self.await_daemon_after(state, error).await {
                    Ok(true) => restored = self.restore_service(state, at).await,
                    Ok(false) => {}
                    Err(interrupted) => return interrupted,
                }
            }
            match restored {
                Ok(()) => {
                    state.services[at].restored = true;
                    self.save(state).await;
                    // Only the cause has failed; the others just return with it.
                    let is_cause = failure.message.starts_with(&format!("{name}: "));
                    let (component, message) = if is_cause {
                        (ComponentState::Failed, failure.message.as_str())
                    } else {
                        (ComponentState::Skipped, "rolled back")
                    };
                    self.component(&name, component, Some(started_at), message).await;
                }
                Err(HealthError::NotWell(why)) => problems.push(format!("{name}: {why}")),
                Err(HealthError::Docker(error)) => problems.push(format!("{name}: {error}")),
            }
        }
        state.rolled_back = problems.is_empty();
        self.save(state).await;
        if problems.is_empty() {
            let to = match &state.old_commit {
                Some(commit) => format!("rolled back to commit {}", short_commit(commit)),
                None => "rolled back".to_owned(),
            };
            self.log(&to).await;
            return JobFailure {
                message: format!("{}; {to}", failure.message),
                rolled_back: Some(true),
                ..failure
            };
        }
        for problem in &problems {
            self.log(&format!("rollback: {problem}")).await;
        }
        JobFailure {
            code: ErrorCode::RollbackFailed,
            message: format!("{}; the rollback failed: {}", failure.message, problems.join("; ")),
            rolled_back: Some(false),
        }
    }

    /// Moves the work tree back.
    async fn restore_tree(&self, state: &DeploymentState) -> Result<(), String> {
        let Some(commit) = &state.old_commit else { return Ok(()) };
        let tree = self.open_tree().await.map_err(|error| error.message)?;
        tree.check_out(commit, true)
            .await
            .map_err(|error| format!("could not move the work tree to {commit}: {error}"))
    }

    async fn restore_service(&self, state: &mut DeploymentState, at: usize) -> Result<(), HealthError> {
        let service = state.services[at].clone();
        let name = &service.name;
        self.component(name, ComponentState::Running, None, "rolling back").await;
        if !service.existed() {
            let end = self.run_change(name, self.engine.docker.remove_project(name)).await;
            return end.error.map_or(Ok(()), |error| Err(error.into()));
        }
        let repo = self.engine.repo_dir();
        let mut project = self.project(name, &repo);
        // The pin makes the rollback independent of tags that have moved.
        let desired = self.desired(&mut project, &service.old_images(), KnownProject::default()).await?;
        let before = self.engine.docker.containers(name).await?;
        let is_stopped = |name: &&String| service.stopped_by_hand.contains(name);
        let (stopped, running): (Vec<&String>, Vec<&String>) =
            desired.config.services.keys().partition(is_stopped);
        if !running.is_empty() {
            let names = if stopped.is_empty() { Vec::new() } else { running.clone() };
            self.up_once(&project, &["--detach"], &names).await?;
            let forced = self.with_new_files(state, &service, &desired.config, &before, running).await?;
            if !forced.is_empty() {
                self.up_once(&project, &["--detach", "--no-deps", "--force-recreate"], &forced).await?;
            }
        }
        if !stopped.is_empty() {
            self.up_once(&project, &["--no-start", "--no-deps"], &stopped).await?;
        }
        self.require_old_images(&service).await?;
        if service.is_stopped_by_hand() || !service.was_well {
            return Ok(());
        }
        self.wait_until_healthy(&service).await
    }

    /// The services of the Compose file that this job has created with other mounted files, and that `up` did not replace.
    async fn with_new_files<'a>(
        &self,
        state: &DeploymentState,
        service: &ServiceDeployment,
        config: &ProjectConfig,
        before: &[Container],
        names: Vec<&'a String>,
    ) -> Result<Vec<&'a String>, DockerError> {
        let Some(old_commit) = &state.old_commit else { return Ok(Vec::new()) };
        let repo = self.engine.repo_dir();
        let old = self.mounted_objects(old_commit, &repo, config).await;
        let new = self.mounted_objects(&state.commit, &repo, config).await;
        let now = self.engine.docker.containers(&service.name).await?;
        let is_new = |container: &&Container| {
            let is_kept = before.iter().any(|before| before.id == container.id);
            is_kept && !service.old.iter().any(|old| old.id == container.id)
        };
        let differs = |path: &PathBuf| {
            let path = path.strip_prefix(&repo).ok().and_then(Path::to_str);
            path.is_some_and(|path| old.get(path) != new.get(path))
        };
        let is_forced = |name: &&String| {
            config.mounted_paths(name).iter().any(differs)
                && now.iter().filter(is_new).any(|container| container.service == **name)
        };
        Ok(names.into_iter().filter(is_forced).collect())
    }

    /// Requires that the old images run.
    async fn require_old_images(&self, service: &ServiceDeployment) -> Result<(), HealthError> {
        let containers = self.engine.docker.containers(&service.name).await?;
        let images = service.old_images();
        let differs =
            containers.iter().find(|now| images.get(&now.service).is_some_and(|image| *image != now.image));
        match differs {
            None => Ok(()),
            Some(container) => Err(HealthError::NotWell(format!(
                "{} has the image {} instead of the old one",
                container.name, container.image
            ))),
        }
    }
}
