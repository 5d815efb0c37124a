//! `deploy --build-first`: build the commit on the builder, then deploy only to hosts whose build succeeded.

use super::super::build::{self, follow_or_interrupt};
use super::super::exit::{CommandError, Exit};
use super::super::output::{Format, Output};
use super::super::render;
use crate::client::{BuildFollower, BuildSpec, BuildSummary, Operator, Plan, Selection};
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, PhaseState, Revision};
use std::collections::BTreeSet;
use std::time::Duration;

/// The repository on the builder; `None` is its default repository.
#[derive(Debug, Clone)]
pub(in crate::cli) struct BuildFirst {
    pub(in crate::cli) repo: Option<Name>,
}

impl BuildFirst {
    /// Has the builder build the planned hosts, and removes the hosts whose build failed from the plan.
    pub(in crate::cli) async fn run(
        self,
        plan: &mut Plan,
        selection: &Selection,
        operator: &Operator,
        format: Format,
    ) -> Result<(), CommandError> {
        let expected: BTreeSet<Name> =
            plan.hosts().into_keys().filter(|host| !plan.silent.contains_key(*host)).cloned().collect_set();
        let mut out = Output::new();
        let spec = BuildSpec {
            repo: self.repo,
            hosts: build_targets(&expected, selection),
            branch: Some(single_commit(plan)?),
        };
        let mut follow = BuildFollower::send(operator, spec, Duration::from_secs(build::TIMEOUT)).await?;
        let summary = follow_or_interrupt(&mut follow, format, &mut out).await?;
        let built = built_hosts(&summary);
        match format {
            Format::Human => out.line(&format!("\n{}\n", render::builds(&summary, out.colours))),
            Format::Json => out.event("builds", &summary),
        }
        plan.retain_built(&built);
        if plan.requests.is_empty() {
            let error = anyhow::anyhow!("no host was built; nothing was deployed");
            return Err(CommandError { exit: Exit::from_code(summary.exit_code()), error });
        }
        Ok(())
    }
}

/// The hosts to request. Empty means every host of the flake, which is used for a complete tier.
fn build_targets(hosts: &BTreeSet<Name>, selection: &Selection) -> Vec<Name> {
    match selection {
        Selection::All { role: None, .. } if hosts.len() > 1 => Vec::new(),
        _ => hosts.iter().cloned().collect(),
    }
}

/// The commit that all hosts build. Errors if their flakes differ.
fn single_commit(plan: &Plan) -> Result<Revision, CommandError> {
    let given = plan.intent.revision.clone().filter(Revision::is_commit);
    let commits = plan.commits();
    let only = commits.first().filter(|_| commits.len() == 1).and_then(|commit| Revision::new(*commit).ok());
    given.or(only).ok_or_else(|| {
        CommandError::usage(anyhow::anyhow!(
            "the hosts use {} different flakes, but the builder builds one at a time: deploy the hosts of each flake separately",
            commits.len()
        ))
    })
}

/// The hosts whose build succeeded.
fn built_hosts(summary: &BuildSummary) -> BTreeSet<Name> {
    let reports = summary.builds.iter().filter_map(|build| build.report.as_deref());
    let hosts = reports.flat_map(|report| &report.hosts).filter(|host| host.state == PhaseState::Done);
    hosts.map(|host| host.hostname.clone()).collect_set()
}
