//! Verify: the services are well and stay so, the host's own health checks succeed, and the NATS server answers.

use super::deployment_state::{DeploymentState, ServiceDeployment, ServiceOutcome};
use super::health::HealthError;
use super::run::ComposeRun;
use crate::activation::JobFailure;
use crate::protocol::{ComponentState, ErrorCode, PhaseName};
use crate::unattended;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// The pause between two attempts.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum size of the output of a health check, in bytes.
const MAX_OUTPUT: u64 = 1 << 20;

impl ComposeRun {
    pub(super) async fn verify(&self, state: &mut DeploymentState) -> Result<(), JobFailure> {
        self.enter("verify", PhaseName::Verify).await;
        let mut daemon_was_away = false;
        loop {
            // A service that was not well before is not this job's failure, unless the job has changed it. If nothing was changed,
            // nothing can have been broken.
            let is_changed = |service: &ServiceDeployment| {
                matches!(service.done, Some(ServiceOutcome::Changed | ServiceOutcome::Removed))
            };
            let any_changed = state.services.iter().any(is_changed);
            let is_checked = |service: &&ServiceDeployment| match service.done {
                Some(ServiceOutcome::Changed) => true,
                Some(ServiceOutcome::Unchanged) => service.was_well && any_changed,
                _ => false,
            };
            let checks = state
                .services
                .iter()
                .filter(is_checked)
                .map(|service| async move { (service.name.clone(), self.verify_service(service).await) });
            let failed =
                join_all(checks).await.into_iter().find_map(|(name, result)| Some((name, result.err()?)));
            match failed {
                None => break,
                Some((_, HealthError::Docker(error))) if !daemon_was_away => {
                    daemon_was_away = true;
                    if !self.await_daemon_after(state, &error).await? {
                        return Err(JobFailure::new(ErrorCode::VerificationFailed, error.to_string()));
                    }
                }
                Some((_, HealthError::Docker(error))) => {
                    return Err(JobFailure::new(ErrorCode::VerificationFailed, error.to_string()));
                }
                Some((name, HealthError::NotWell(why))) => {
                    self.component(&name, ComponentState::Failed, None, &why).await;
                    return Err(JobFailure::new(ErrorCode::VerificationFailed, format!("{name}: {why}")));
                }
            }
        }
        self.run_host_checks().await?;
        self.confirm_connection().await?;
        self.stages.complete("verify");
        Ok(())
    }

    async fn verify_service(&self, service: &ServiceDeployment) -> Result<(), HealthError> {
        let limit = Duration::from_secs(service.timeout_s);
        let checked = self.run_health_check(&service.name, &self.engine.repo_dir(), limit).await;
        if checked.map_err(HealthError::NotWell)? {
            return Ok(());
        }
        self.wait_until_stable(service).await
    }

    /// Runs the commands of `--health-check`, each until it succeeds, within one time limit.
    async fn run_host_checks(&self) -> Result<(), JobFailure> {
        let (started_at, limit) = (Instant::now(), self.engine.policy.health_timeout);
        for check in &self.engine.policy.health_checks {
            loop {
                self.log(&format!("$ {check}")).await;
                let mut command = unattended::captured("/bin/sh");
                command.args(["-c", check]);
                let left = limit.saturating_sub(started_at.elapsed());
                let ended = match timeout(left, unattended::run(command, MAX_OUTPUT)).await {
                    Ok(Ok(output)) if output.status.success() => break,
                    Ok(Ok(output)) => {
                        for line in output.stdout.lines().chain(output.stderr.lines()) {
                            self.log(line).await;
                        }
                        format!("ended with {}", output.status)
                    }
                    Ok(Err(error)) => format!("could not be run: {error}"),
                    Err(_) => "did not end".to_owned(),
                };
                if started_at.elapsed() + POLL_INTERVAL >= limit {
                    let message = format!(
                        "the health check `{check}` did not succeed within {} s; the last run {ended}",
                        limit.as_secs()
                    );
                    return Err(JobFailure::new(ErrorCode::VerificationFailed, message));
                }
                sleep(POLL_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Requires an answer of the NATS server: a service such as a router or a VPN can cut the host off.
    async fn confirm_connection(&self) -> Result<(), JobFailure> {
        let limit = self.engine.policy.confirm_timeout;
        if limit.is_zero() {
            return Ok(());
        }
        let answered = async {
            while !self.job.reachable.run().await {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(limit, answered).await.map_err(|_| {
            let message = format!(
                "the NATS server did not answer within {} s after the services were brought up",
                limit.as_secs()
            );
            JobFailure::new(ErrorCode::VerificationFailed, message)
        })
    }
}
