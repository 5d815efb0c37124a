//! Build: pulls the images that are missing, and the tags of services that change.

use super::generations::Generations;
use super::prepare::ComposePlan;
use super::run::ComposeRun;
use crate::activation::{JobEvent, JobFailure};
use crate::compose::{DockerError, Project, ServiceConfig};
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, ErrorCode, PhaseName, Progress};
use crate::text::format::count;
use std::collections::BTreeMap;

/// What docker prints if a registry cannot be reached.
const REGISTRY_AWAY: [&str; 9] = [
    "dial tcp",
    "dial udp",
    "no such host",
    "i/o timeout",
    "connection refused",
    "network is unreachable",
    "TLS handshake",
    "server misbehaving",
    "context deadline exceeded",
];

/// An image that a service of a Compose file needs.
struct NeededImage {
    reference: String,
    project: Project,
    service: String,
    is_built: bool,
    /// Whether the service would change anyway, so that its tags are looked up again.
    is_changed: bool,
}

impl ComposeRun {
    pub(super) async fn build(&self, plan: &mut ComposePlan) -> Result<(), JobFailure> {
        self.enter_phase(PhaseName::Build).await;
        let failed = |error: DockerError| docker_failed(&error);
        let names = plan.assigned.iter().map(|service| service.name.clone()).collect();
        plan.configs.found = self.read_configs(names, &plan.tree).await;
        let last = Generations::read(&self.engine.state_dir()).configs;
        for at in 0..plan.state.services.len() {
            let config = self.deployed_config(&plan.state.services[at].name, plan, &last).await;
            plan.state.services[at].config = config;
        }
        plan.changed = self.changed_configs(plan, &last).await;
        let mut needed: Vec<NeededImage> = Vec::new();
        for service in &plan.services {
            let project = self.project(&service.name, &plan.tree);
            // An invalid configuration is reported by the check.
            let Some(config) = plan.configs.valid(&service.name) else { continue };
            let is_changed = plan.changed.contains(&service.name);
            let state = plan.state.services.iter().find(|state| state.name == service.name);
            for (name, config) in &config.services {
                if let Some(id) = state.and_then(|state| state.images.get(name)) {
                    self.require_image(&service.name, name, id).await?;
                    continue;
                }
                let reference = config.image(&service.name, name);
                let image = NeededImage {
                    reference,
                    project: project.clone(),
                    service: name.clone(),
                    is_built: ServiceConfig::is_built(config),
                    is_changed,
                };
                match needed.iter_mut().find(|known| known.reference == image.reference) {
                    Some(known) => known.is_changed |= image.is_changed,
                    None => needed.push(image),
                }
            }
        }
        let mut pulls = Vec::new();
        let references = needed.iter().map(|image| image.reference.clone()).collect_set();
        let mut ids = self.engine.docker.image_ids(references).await.map_err(failed)?;
        for image in needed {
            let here = ids.remove(&image.reference).flatten();
            let is_tag = !image.reference.contains("@sha256:") && !image.reference.starts_with("sha256:");
            // A resumed job keeps the images that it has pulled.
            let may_move = is_tag && image.is_changed && self.job.request.action != Action::Resume;
            if here.is_none() || may_move {
                pulls.push((image, here));
            }
        }
        let expected = pulls.len() as u64;
        let mut kept = Vec::new();
        for (done, (image, here)) in pulls.into_iter().enumerate() {
            let activity =
                format!("{} {}", if image.is_built { "building" } else { "pulling" }, image.reference);
            self.log(&activity).await;
            let progress =
                Progress { done: done as u64, expected, running: 1, activity, ..Progress::default() };
            self.send(JobEvent::Progress(progress)).await;
            let docker = &self.engine.docker;
            let fetched = if image.is_built {
                docker.build(&image.project, self.job.timeout).await
            } else {
                docker.pull(&image.project, &image.service, self.job.timeout).await
            };
            let now = docker.image_id(&image.reference).await.map_err(failed)?;
            if let (Some(before), Some(now)) = (&here, &now)
                && before != now
            {
                plan.state.moved_tags.insert(image.reference.clone(), before.clone());
            }
            match fetched {
                Err(error) if now.is_some() && !image.is_built => {
                    self.log(&format!("{error}; continuing with the image that is here")).await;
                    kept.push(image.reference);
                }
                Err(error) => return Err(pull_failed(&image.reference, &error)),
                Ok(()) if now.is_none() => {
                    let message =
                        format!("{} is not here after it was pulled; nothing was changed", image.reference);
                    return Err(JobFailure::new(ErrorCode::BuildFailed, message));
                }
                Ok(()) => {}
            }
        }
        if expected > 0 {
            let progress = Progress { done: expected, expected, ..Progress::default() };
            self.send(JobEvent::Progress(progress)).await;
        }
        if !kept.is_empty() {
            let note = format!(
                "could not pull {}: deployed what is here ({})",
                count(kept.len(), "image"),
                kept.join(", ")
            );
            plan.state.notes.push(note);
        }
        Ok(())
    }

    /// Requires the image of an earlier generation.
    async fn require_image(&self, service: &str, name: &str, id: &str) -> Result<(), JobFailure> {
        if self.engine.docker.image_id(id).await.map_err(|error| docker_failed(&error))?.is_some() {
            return Ok(());
        }
        let message =
            format!("the image {id} of {service} ({name}) is not on this host any more; nothing was changed");
        Err(JobFailure::new(ErrorCode::NotFound, message))
    }

    /// Moves tags back to the images that they named before this job.
    pub(super) async fn restore_tags(&self, tags: &BTreeMap<String, String>) {
        for (tag, image) in tags {
            if let Err(error) = self.engine.docker.tag(image, tag).await {
                self.log(&format!("failed to move the tag {tag} back to {image}: {error}")).await;
            }
        }
    }
}

fn docker_failed(error: &DockerError) -> JobFailure {
    JobFailure::new(ErrorCode::Unhealthy, format!("{error}; nothing was changed"))
}

fn pull_failed(image: &str, error: &DockerError) -> JobFailure {
    if error.is_daemon_away() {
        return docker_failed(error);
    }
    let reason = error.to_string();
    let is_away = REGISTRY_AWAY.iter().any(|sign| reason.contains(sign));
    let (code, advice) = if is_away {
        (ErrorCode::SourceUnreachable, "the registry is unreachable and the image is not on this host")
    } else {
        (ErrorCode::BuildFailed, "check its name and the access to its registry")
    };
    JobFailure::new(code, format!("could not get the image {image}: {reason}; {advice}; nothing was changed"))
}
