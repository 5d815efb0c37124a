//! The running deployments, summarized once a second for the box above the hosts.

use super::App;
use super::known_deployment::KnownDeployment;
use crate::fleet::{StatusCounts, WHOLE_JOB};
use crate::protocol::{Id, RolloutState};
use crate::text::printable;

/// The number of running deployments that are summarized.
pub(super) const MAX_RUNNING: usize = 4;
/// The share from which the time left is estimated, in thousandths: before, the estimate would be too rough.
const MIN_SHARE: u64 = 50;

/// A running deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRollout {
    /// `switch main b04c7de`
    pub title: String,
    /// Who sent it; `None` if it was this operator.
    pub issuer: Option<String>,
    /// Number of the last sent batch and of all batches, if there are several.
    pub batch: Option<(usize, usize)>,
    /// The part that is done, in thousandths.
    pub share: u64,
    /// Number of hosts by status.
    pub counts: StatusCounts,
    /// Number of hosts without a report.
    pub waiting: usize,
    /// Time since the start, and the estimated time left, in milliseconds.
    pub elapsed_ms: u64,
    /// The estimated time left in milliseconds.
    pub left_ms: Option<u64>,
    /// Number of hosts that are not sent, if the process that ran the rollout has died.
    pub interrupted: Option<usize>,
    /// Why no batch is sent until an operator continues: whether a limit stopped the rollout, and the reason.
    pub held: Option<(bool, String)>,
}

impl RunningRollout {
    /// The interrupted rollouts, and then the running deployments, the oldest first: at most [`MAX_RUNNING`], and the
    /// number of all that run.
    pub(super) fn all(app: &App) -> (Vec<Self>, usize) {
        let in_order = |mut known: Vec<(&Id, KnownDeployment<'_>)>| {
            known.sort_unstable_by_key(|(id, known)| (known.started_at(), (*id).clone()));
            known.into_iter().map(|(_, known)| Self::of(app, &known)).collect::<Vec<_>>()
        };
        let running = KnownDeployment::running(app);
        let (count, interrupted) = (running.len(), KnownDeployment::interrupted(app));
        let mut all = in_order(interrupted);
        let is_listed = |known: &&(&Id, KnownDeployment<'_>)| !known.1.is_lost();
        all.extend(in_order(running.iter().filter(is_listed).copied().collect()));
        all.truncate(MAX_RUNNING);
        (all, count)
    }

    fn of(app: &App, known: &KnownDeployment<'_>) -> Self {
        let (counts, no_answer, not_sent) = known.counts();
        let share = known.share();
        let elapsed = app.now.duration_since(known.started_at()).as_millis();
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(0);
        let left =
            u128::from(elapsed_ms) * u128::from(WHOLE_JOB - share.min(WHOLE_JOB)) / u128::from(share.max(1));
        let held = known.rollout.filter(|rollout| rollout.is_open() && rollout.is_held() && !known.is_lost());
        let held = held.map(|rollout| {
            let reason = rollout.status.reason.as_deref().map(printable).unwrap_or_default();
            (rollout.status.state == RolloutState::Stopped, reason)
        });
        let action = known.action().map_or("a deployment".to_owned(), |action| printable(action.as_str()));
        let issuer = known.issuer().filter(|issuer| *issuer != app.options.issuer).map(printable);
        Self {
            title: format!("{action} {}", known.revision_label()).trim_end().to_owned(),
            issuer,
            batch: known.batch().filter(|(_, of)| *of > 1),
            share,
            counts,
            waiting: no_answer + not_sent,
            elapsed_ms,
            left_ms: u64::try_from(left)
                .ok()
                .filter(|_| share >= MIN_SHARE && !known.is_lost() && held.is_none()),
            held,
            interrupted: known.is_lost().then_some(not_sent),
        }
    }
}
