//! Builds every host of the update, several at once, and keeps the last lines of each log.

use super::News;
use super::secrets::Secrets;
use crate::nix::{BuildError, BuildOrder, FlakeAttr, FlakeUrl, Locked, LogTail, Nix, NixLine};
use crate::protocol::{BuildHost, Name, PhaseState, fit_end};
use futures_util::{StreamExt, stream};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// So many of the last lines of a log are kept, and so many bytes of all of them.
const TAIL_LINES: usize = 100;
const TAIL_BYTES: usize = 8 << 10;

/// What all builds have in common.
pub(super) struct Builds<'a> {
    pub(super) nix: &'a Nix,
    pub(super) flake: FlakeUrl,
    pub(super) locked: Locked,
    /// Where the links to the results go.
    pub(super) folder: &'a Path,
    pub(super) secrets: &'a Secrets,
    /// How long all may take together, in words too.
    pub(super) timeout: Duration,
    pub(super) stop: &'a CancellationToken,
}

impl Builds<'_> {
    /// Builds these hosts, `parallel` at once; in the order of their names.
    pub(super) async fn all(
        &self,
        hosts: &BTreeMap<Name, FlakeAttr>,
        parallel: usize,
        mut tell: impl FnMut(News),
    ) -> Vec<BuildHost> {
        let deadline = Instant::now() + self.timeout;
        let builds = stream::iter(hosts).map(|(host, attr)| self.one(host, attr, deadline));
        let mut builds = builds.buffer_unordered(parallel);
        let mut built = Vec::with_capacity(hosts.len());
        while let Some(host) = builds.next().await {
            tell(News::Built(Box::new(host.clone())));
            built.push(host);
        }
        built.sort_by(|a, b| a.hostname.cmp(&b.hostname));
        built
    }

    async fn one(&self, host: &Name, attr: &FlakeAttr, deadline: Instant) -> BuildHost {
        let begun = Instant::now();
        let order = BuildOrder {
            flake: self.flake.clone(),
            locked: self.locked.clone(),
            host: host.clone(),
            attr: attr.clone(),
            out_link: self.folder.join(format!("result-{host}")),
        };
        let stop = self.stop.child_token();
        let (told, mut heard) = mpsc::channel(64);
        let mut tail = LogTail::of(TAIL_LINES);
        let build = async {
            tokio::join!(self.nix.build(order, told, &stop), async {
                while let Some(line) = heard.recv().await {
                    if let NixLine::Log(text) = line {
                        text.lines().for_each(|line| tail.push(line));
                    }
                }
            })
            .0
        };
        let late = async {
            sleep_until(deadline).await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let outcome = tokio::select! {
            outcome = build => outcome,
            () = late => unreachable!("it only ends the build"),
        };
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (state, system, error) = match outcome {
            Ok(system) => (PhaseState::Done, Some(system.display().to_string()), None),
            Err(BuildError::Stopped { .. }) if !self.stop.is_cancelled() => {
                let why = format!(
                    "it was not built within the {} s that all builds may take",
                    self.timeout.as_secs()
                );
                (PhaseState::Failed, None, Some(why))
            }
            Err(error) => (PhaseState::Failed, None, Some(self.secrets.blot(&error.in_short()))),
        };
        let tail = || self.secrets.blot(fit_end(&tail.text(), TAIL_BYTES));
        let log_tail = error.as_ref().map(|_| tail()).filter(|tail| !tail.is_empty());
        BuildHost { hostname: host.clone(), state, elapsed_ms, system, error, log_tail }
    }
}
