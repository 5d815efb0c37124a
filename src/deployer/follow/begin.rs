//! How following begins: with a plan that is sent, or with a job that is under way.

use super::target::Target;
use super::{DeployError, Follow, Plan};
use crate::deployer::host_messages::HostMessages;
use crate::deployer::operator::fresh_id;
use crate::deployer::vouch::Voucher;
use crate::deployer::{Intent, Operator, Rollout};
use crate::fleet::Fleet;
use crate::protocol::{DeployReport, REPORTS, REPORTS_PER_HOST, ReplyTo, of_answers_per_host};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long the server may take to answer a ping before anything is sent.
pub(super) const PING: Duration = Duration::from_secs(3);

impl Operator {
    /// Sends a plan, or its first wave, once the server has just answered a ping. Hosts may take `timeout` at most for their
    /// builds, if given; each wave is followed for `patience`.
    pub async fn send(
        &self,
        plan: Plan,
        fleet: Fleet,
        timeout: Option<Duration>,
        patience: Duration,
    ) -> Result<Follow, DeployError> {
        let mut follow = self.hear(plan, fleet, timeout, patience).await?;
        follow.send_wave().await?;
        Ok(follow)
    }

    /// Follows a job that is under way, whoever began it; nothing is sent but the question how it stands. `None` where
    /// the report tells neither its id nor its action, as that of a base listener.
    pub async fn take_up(
        &self,
        job: &Arc<DeployReport>,
        mut fleet: Fleet,
        patience: Duration,
    ) -> Result<Option<Follow>, DeployError> {
        let (Some(id), Some(action)) = (job.id.clone(), job.action.clone()) else { return Ok(None) };
        let intent = Intent::new(action, self.issuer.clone());
        let (parcels, rollout, silent) = (Vec::new(), Rollout::at_once(0), BTreeMap::new());
        let (unbuilt, left_out) = (BTreeSet::new(), BTreeMap::new());
        let plan = Plan { id: id.clone(), intent, parcels, rollout, silent, unbuilt, left_out };
        fleet.apply_report(job.clone(), Timestamp::now());
        let mut follow = self.hear(plan, fleet, None, patience).await?;
        follow.plan.rollout.send();
        follow.targets.insert(job.hostname.clone(), Target::new(id, None));
        // It may have ended before we heard it.
        follow.ask(vec![job.hostname.clone()]).await?;
        Ok(Some(follow))
    }

    /// Hears whatever the hosts of a plan may say, and nobody was told of it yet.
    async fn hear(
        &self,
        plan: Plan,
        fleet: Fleet,
        timeout: Option<Duration>,
        patience: Duration,
    ) -> Result<Follow, DeployError> {
        let refusals = self.bus.refusals();
        let answers_to = ReplyTo::answers(fresh_id());
        let reports = HostMessages::open(&self.bus, &self.known, [REPORTS, REPORTS_PER_HOST]).await?;
        let answers = [answers_to.to_string(), of_answers_per_host(answers_to.id())];
        let answers = HostMessages::open(&self.bus, &self.known, answers.iter().map(String::as_str)).await?;
        self.bus.reach(PING).await?;
        let link = self.bus.link();
        let connects = link.borrow().connects;
        let now = Instant::now();
        Ok(Follow {
            bus: self.bus.clone(),
            targets: BTreeMap::new(),
            plan,
            timeout,
            fleet,
            reports,
            answers,
            answers_to,
            refusals,
            link,
            connects,
            lost: false,
            patience,
            deadline: now + patience,
            late: 0,
            out_of_time: false,
            pause_ends: None,
            stopped: None,
            abort: CancellationToken::new(),
            sent_at: now,
            last_news: now,
            untaken: 0,
            pending: VecDeque::new(),
            voucher: Voucher::new(self.bus.clone()),
        })
    }
}
