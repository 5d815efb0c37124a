//! `cancel`: cancel the running job of hosts.

use super::connection::ConnectionArgs;
use super::deploy::{follow_or_interrupt, pin};
use super::exit::{CommandError, Exit};
use super::output::Format;
use super::selector::SelectorArgs;
use crate::client::{DeploymentFollower, Plan, Selection, Target, hosts_of};
use crate::fleet::Fleet;
use crate::protocol::Name;
use clap::Args;
use std::time::Duration;

/// How long a host may take to reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl CancelArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let selection = self.selector.selection(&resolved)?;
        let mut operator = resolved.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let hosts = hosts_with_job(&selection, &discovery.fleet)?;
        let plan = Plan::cancel(operator.issuer.clone(), &hosts, &discovery.fleet, discovery.at)?;
        for (host, reason) in &plan.left_out {
            pin::note(&reason.advice(host), self.output);
        }
        if plan.requests.is_empty() {
            return Err(CommandError::failure(anyhow::anyhow!(
                "no host with a running job can be reached; nothing was sent"
            )));
        }
        let follow = DeploymentFollower::send(&operator, plan, discovery.fleet, None, REPLY_TIMEOUT).await?;
        follow_or_interrupt(follow, self.output, None, None, None).await
    }
}

/// The hosts to cancel on: the named ones, or those of a tier, role or subject that have a running job.
fn hosts_with_job(selection: &Selection, fleet: &Fleet) -> Result<Selection, CommandError> {
    let named = hosts_of(selection, fleet)?;
    if let Selection::Targets(targets) = selection
        && targets.iter().all(|target| !matches!(target, Target::Subject(_)))
    {
        return Ok(Selection::Targets(named.into_iter().map(Target::Host).collect()));
    }
    let runs = |host: &Name| fleet.hosts.get(host).is_some_and(|host| host.running_job().is_some());
    let hosts: Vec<_> = named.into_iter().filter(runs).collect();
    if hosts.is_empty() {
        return Err(CommandError::failure(anyhow::anyhow!(
            "no job runs on any of these hosts; nothing was sent"
        )));
    }
    Ok(Selection::Group(hosts))
}
