//! `cancel`: stop the running job of hosts.

use super::connection::ConnectionArgs;
use super::deploy::follow_or_interrupt;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::{Plan, Selection, Target, hosts_of};
use crate::fleet::Fleet;
use crate::protocol::Name;
use clap::Args;
use std::time::Duration;

/// How long a host may take to decide.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl CancelArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let selection = self.selector.selection(&effective)?;
        let mut operator = effective.operator().await?;
        let discovery = operator.discover(None, None).await?;
        let hosts = at_work(&selection, &discovery.fleet)?;
        let plan = Plan::cancel(operator.issuer.clone(), &hosts, &discovery.fleet, discovery.at)?;
        let follow = operator.send(plan, discovery.fleet, None, PATIENCE).await?;
        follow_or_interrupt(follow, self.output, None).await
    }
}

/// The hosts that are meant; of a tier or role, and behind a subject, those where a job runs.
fn at_work(selection: &Selection, fleet: &Fleet) -> Result<Vec<Name>, Failed> {
    let named = hosts_of(selection, fleet)?;
    if let Selection::Targets(targets) = selection
        && targets.iter().all(|target| !matches!(target, Target::Subject(_)))
    {
        return Ok(named.into_iter().collect());
    }
    let runs = |host: &Name| fleet.hosts.get(host).is_some_and(|host| host.running_job().is_some());
    let hosts: Vec<_> = named.into_iter().filter(runs).collect();
    if hosts.is_empty() {
        return Err(Failed::host(anyhow::anyhow!("no job runs on any of these hosts; nothing was sent")));
    }
    Ok(hosts)
}
