//! Waits until the containers of a service are healthy, and explains why they are not.

use super::deployment_state::ServiceDeployment;
use super::run::ComposeRun;
use crate::compose::{Container, DockerError, EnvFile, Health};
use crate::text::{last, printable};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The pause between two samples.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How often docker may restart a container before it counts as failed.
const MAX_RESTARTS: u64 = 2;
/// How long containers must stay as they are.
const STABLE: Duration = Duration::from_secs(5);
/// The pause between two runs of a health check.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum size of the output of a health check, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// The permissions to execute a file.
const EXECUTABLE: u32 = 0o111;

/// Why a service is not healthy.
#[derive(Debug)]
pub(super) enum HealthError {
    /// It is not well. Holds the explanation.
    NotWell(String),
    /// docker failed.
    Docker(DockerError),
}

impl From<DockerError> for HealthError {
    fn from(error: DockerError) -> Self {
        Self::Docker(error)
    }
}

impl ComposeRun {
    /// Waits until each container runs and its health check, if it has one, succeeds.
    pub(super) async fn wait_until_healthy(&self, service: &ServiceDeployment) -> Result<(), HealthError> {
        let (started_at, limit) = (Instant::now(), Duration::from_secs(service.timeout_s));
        let mut first: Option<Vec<Container>> = None;
        loop {
            let containers = self.watched(service).await?;
            let baseline = first.get_or_insert_with(|| containers.clone());
            if let Some(failed) = containers.iter().find(|container| has_failed(container, baseline)) {
                return Err(self.explain(failed, "is not well").await);
            }
            let waiting = containers.iter().find(|container| !is_ready(container));
            let Some(waiting) = waiting else { return Ok(()) };
            if started_at.elapsed() >= limit {
                let what = format!("did not become healthy within {} s", limit.as_secs());
                return Err(self.explain(waiting, &what).await);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Watches the containers until they stay as they are for some seconds.
    pub(super) async fn wait_until_stable(&self, service: &ServiceDeployment) -> Result<(), HealthError> {
        let limit = Duration::from_secs(service.timeout_s) + STABLE;
        let (started_at, mut since) = (Instant::now(), Instant::now());
        let first = self.watched(service).await?;
        let mut before: Vec<(String, String, u64, Option<Health>)> = Vec::new();
        loop {
            let containers = self.watched(service).await?;
            if let Some(failed) = containers.iter().find(|container| has_failed(container, &first)) {
                return Err(self.explain(failed, "is not well").await);
            }
            let now: Vec<_> = containers
                .iter()
                .map(|now| {
                    (now.id.clone(), format!("{} {}", now.status, now.started_at), now.restarts, now.health)
                })
                .collect();
            if now != before {
                (before, since) = (now, Instant::now());
            }
            let waiting = containers.iter().find(|container| !is_ready(container));
            if waiting.is_none() && since.elapsed() >= STABLE {
                return Ok(());
            }
            if started_at.elapsed() >= limit {
                let Some(waiting) = waiting.or(containers.first()) else { return Ok(()) };
                return Err(self.explain(waiting, "does not stay as it is").await);
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// The containers of a service without those that were stopped by hand.
    async fn watched(&self, service: &ServiceDeployment) -> Result<Vec<Container>, DockerError> {
        let mut containers = self.engine.docker.containers(&service.name).await?;
        containers.retain(|container| !service.stopped_by_hand.contains(&container.service));
        Ok(containers)
    }

    async fn explain(&self, container: &Container, what: &str) -> HealthError {
        let mut why = format!("{} {what}: {}", container.name, container.describe());
        if let Some(check) = container.health_output.last() {
            why = format!("{why}; its last health check: {}", first_line(check));
        }
        let logs = self.engine.docker.logs(&container.id, 3).await.unwrap_or_default();
        if let Some(line) = logs.lines().last() {
            // Without the time that docker puts before it.
            why = format!(
                "{why}; its last log line: {}",
                first_line(line.split_once(' ').map_or(line, |(_, text)| text))
            );
        }
        HealthError::NotWell(why)
    }

    /// Runs the health check of a service in the work tree until it succeeds. `Ok(false)` if it has none.
    pub(super) async fn run_health_check(
        &self,
        service: &str,
        tree: &Path,
        limit: Duration,
    ) -> Result<bool, String> {
        let project = self.project(service, tree);
        let script = project.health_check();
        if !script.is_file() {
            return Ok(false);
        }
        let env = project.env_file.as_deref().and_then(|file| EnvFile::read(file).ok()).unwrap_or_default();
        let started_at = Instant::now();
        loop {
            // A script that is executable chooses its own shell.
            let mut command = if script.metadata().is_ok_and(|found| found.mode() & EXECUTABLE != 0) {
                crate::unattended::captured(&script)
            } else {
                let mut command = crate::unattended::captured("/bin/sh");
                command.arg(&script);
                command
            };
            command.current_dir(&project.directory);
            for (name, value) in env.variables() {
                command.env(name, value);
            }
            let left = limit.saturating_sub(started_at.elapsed()).max(CHECK_INTERVAL);
            let ended = match tokio::time::timeout(left, crate::unattended::run(command, MAX_OUTPUT)).await {
                Ok(Ok(output)) if output.status.success() => return Ok(true),
                Ok(Ok(output)) => {
                    let text = format!("{}\n{}", output.stdout, output.stderr);
                    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
                    let lines = last(&lines, 3).join(" / ");
                    let lines = if lines.is_empty() { lines } else { format!(": {}", printable(&lines)) };
                    format!("ended with {}{lines}", output.status)
                }
                Ok(Err(error)) => format!("could not be run: {error}"),
                Err(_) => "did not end".to_owned(),
            };
            if started_at.elapsed() + CHECK_INTERVAL >= limit {
                return Err(format!(
                    "healthcheck.sh did not succeed within {} s; the last run {ended}",
                    limit.as_secs()
                ));
            }
            sleep(CHECK_INTERVAL).await;
        }
    }
}

/// Whether a container runs, and is healthy if it has a health check, or has done its work.
fn is_ready(container: &Container) -> bool {
    let runs = container.status == "running" && matches!(container.health, None | Some(Health::Healthy));
    runs || container.is_finished()
}

/// Whether a container will not become ready: it is unhealthy, has ended, or docker restarts it again and again.
fn has_failed(container: &Container, first: &[Container]) -> bool {
    let before = first.iter().find(|before| before.id == container.id).map_or(0, |before| before.restarts);
    let has_ended = matches!(container.status.as_str(), "exited" | "dead") && !container.is_finished();
    container.health == Some(Health::Unhealthy) || has_ended || container.restarts >= before + MAX_RESTARTS
}

fn first_line(text: &str) -> String {
    printable(crate::text::fitting_prefix(text.lines().next().unwrap_or_default(), 300))
}
