//! Diagnose: containers, logs, health results and disk of services, for the report and a file.

use super::deployment_state::DeploymentState;
use super::run::ComposeRun;
use crate::activation::{Engine, JobEvent, JobFailure, JobResult, format_diagnostics, last_lines};
use crate::compose::{Container, Health};
use crate::protocol::{ComponentState, PhaseName};
use crate::text::format::count;

/// How many lines of each container's log are included.
const LOG_LINES: u32 = 100;
/// How many lines of the job's log are included.
const JOB_LOG_LINES: usize = 60;

impl ComposeRun {
    /// The action `diagnose`.
    pub(super) async fn diagnose_host(&self) -> JobResult {
        self.stages.start(&self.job.dir);
        self.enter("diagnose", PhaseName::Prepare).await;
        let mut services = self.engine.services();
        if !self.job.services.is_empty() {
            services.retain(|name| self.job.services.iter().any(|wanted| wanted.as_str() == name));
        }
        let mut bad = Vec::new();
        for name in &services {
            let containers = self.engine.docker.containers(name).await;
            let containers = containers
                .map_err(|error| JobFailure::new(crate::protocol::ErrorCode::Unhealthy, error.to_string()))?;
            let problem = containers.iter().find(|container| !is_well(container));
            let (state, message) = match problem {
                None if containers.is_empty() => (ComponentState::Failed, "has no containers".to_owned()),
                None => (ComponentState::Unchanged, String::new()),
                Some(container) => {
                    (ComponentState::Failed, format!("{} {}", container.name, container.describe()))
                }
            };
            if state == ComponentState::Failed {
                bad.push(name.clone());
            }
            self.component(name, state, None, &message).await;
        }
        let text = self.collect(&services).await;
        for line in text.lines() {
            self.log(line).await;
        }
        self.send(JobEvent::Diagnostics(text)).await;
        self.stages.complete("diagnose");
        let all = count(services.len(), "service");
        Ok(if bad.is_empty() {
            format!("diagnose done: {all}, all well")
        } else {
            format!("diagnose done: {} of {all} not well: {}", bad.len(), bad.join(", "))
        })
    }

    /// Collects diagnostics before a failed deployment is rolled back.
    pub(super) async fn diagnose_failure(&self, state: &DeploymentState, failure: &JobFailure) {
        self.stages.enter("diagnose");
        let is_named = |name: &str| failure.message.contains(name);
        let services: Vec<String> = state
            .services
            .iter()
            .filter(|service| service.touched || is_named(&service.name))
            .filter(|service| service.done.is_none() || is_named(&service.name))
            .map(|service| service.name.clone())
            .collect();
        let text = self.collect(&services).await;
        self.send(JobEvent::Diagnostics(text)).await;
        self.stages.complete("diagnose");
    }

    /// The diagnostics of these services, after the end of the job's log. Redacted.
    async fn collect(&self, services: &[String]) -> String {
        let docker = &self.engine.docker;
        let mut sections = Vec::new();
        for name in services {
            let containers = match docker.containers(name).await {
                Ok(containers) => containers,
                Err(error) => {
                    sections.push((name.clone(), error.to_string()));
                    continue;
                }
            };
            let list: Vec<String> = containers
                .iter()
                .map(|container| {
                    format!("{} {} (image {})", container.name, container.describe(), container.image)
                })
                .collect();
            sections.push((format!("{name}: containers"), list.join("\n")));
            for container in &containers {
                if let Some(check) = container.health_output.last() {
                    sections.push((format!("{}: last health check", container.name), check.clone()));
                }
                let logs =
                    docker.logs(&container.id, LOG_LINES).await.unwrap_or_else(|error| error.to_string());
                sections.push((format!("{}: log", container.name), logs));
            }
        }
        if let Ok(usage) = docker.disk_usage().await {
            sections.push(("docker system df".to_owned(), usage));
        }
        let root = &self.engine.root;
        if let Some(free) = root.ancestors().find_map(crate::activation::free_bytes) {
            let free = crate::text::format::size(free);
            sections.push(("disk".to_owned(), format!("{free} are free on {}", root.display())));
        }
        let log = last_lines(&self.job.dir.log(), JOB_LOG_LINES).unwrap_or_default();
        self.redact(&format_diagnostics(log, &sections, &self.engine.facts()))
    }
}

fn is_well(container: &Container) -> bool {
    (container.status == "running" && container.health != Some(Health::Unhealthy)) || container.is_finished()
}
