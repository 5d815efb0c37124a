//! Builds all hosts of an update, several in parallel, and keeps the last lines of each log.

use super::FlakeUpdateEvent;
use crate::git::Secrets;
use crate::nix::{BuildError, FlakeAttr, FlakeUrl, HostBuildSpec, LockedFlake, LogTail, Nix, NixLine};
use crate::protocol::{BuildHost, Name, PhaseState};
use crate::text::fitting_suffix;
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How many of the last lines of a host's log are kept.
const MAX_LOG_LINES: usize = 100;
/// Maximum length of the kept lines of a host, in bytes.
const MAX_LOG_BYTES: usize = 8 << 10;

/// The parameters that all builds share.
pub(super) struct HostBuilds<'a> {
    pub(super) nix: &'a Nix,
    pub(super) flake: FlakeUrl,
    pub(super) locked: LockedFlake,
    /// Directory for the result links.
    pub(super) dir: &'a Path,
    pub(super) secrets: &'a Secrets,
    /// Timeout of all builds together.
    pub(super) timeout: Duration,
    pub(super) stop: &'a CancellationToken,
}

impl HostBuilds<'_> {
    /// Builds these hosts, `parallel` at a time. Returns them sorted by name.
    pub(super) async fn build_all(
        &self,
        hosts: &BTreeMap<Name, FlakeAttr>,
        parallel: usize,
        mut report: impl FnMut(FlakeUpdateEvent),
    ) -> Vec<BuildHost> {
        let deadline = Instant::now() + self.timeout;
        let builds = stream::iter(hosts).map(|(host, attr)| self.build_host(host, attr, deadline));
        let mut builds = builds.buffer_unordered(parallel);
        let mut built = Vec::with_capacity(hosts.len());
        while let Some(host) = builds.next().await {
            report(FlakeUpdateEvent::Built(Box::new(host.clone())));
            built.push(host);
        }
        built.sort_unstable_by(|a, b| a.hostname.cmp(&b.hostname));
        built
    }

    async fn build_host(&self, host: &Name, attr: &FlakeAttr, deadline: Instant) -> BuildHost {
        let started = Instant::now();
        let spec = HostBuildSpec {
            flake: self.flake.clone(),
            locked: self.locked.clone(),
            host: host.clone(),
            attr: attr.clone(),
            out_link: self.dir.join(format!("result-{host}")),
        };
        let stop = self.stop.child_token();
        let (sender, mut receiver) = mpsc::channel(64);
        let mut tail = LogTail::of(MAX_LOG_LINES);
        let build = async {
            tokio::join!(self.nix.build(spec, sender, &stop), async {
                while let Some(line) = receiver.recv().await {
                    if let NixLine::Log(text) = line {
                        text.lines().for_each(|line| tail.push(line));
                    }
                }
            })
            .0
        };
        let timed_out = async {
            sleep_until(deadline).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            result = build => result,
            () = timed_out => unreachable!("the timeout only cancels the build"),
        };
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (state, system, error) = match result {
            Ok(system) => (PhaseState::Done, Some(system.display().to_string()), None),
            Err(BuildError::Stopped { .. }) if !self.stop.is_cancelled() => {
                let reason = format!(
                    "not built within {} s, the timeout of all builds together",
                    self.timeout.as_secs()
                );
                (PhaseState::Failed, None, Some(reason))
            }
            Err(error) => (PhaseState::Failed, None, Some(self.secrets.redact(&error.summary()))),
        };
        let tail = || self.secrets.redact(fitting_suffix(&tail.text(), MAX_LOG_BYTES));
        let log_tail = error.as_ref().map(|_| tail()).filter(|tail| !tail.is_empty());
        BuildHost { hostname: host.clone(), state, elapsed_ms, system, error, log_tail }
    }
}
