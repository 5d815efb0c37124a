//! `deploy --build-first`: the builder builds the commit, then only hosts whose build has passed are deployed to.

use super::super::build::{self, follow_or_interrupt};
use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::render;
use crate::deployer::{BuildOutcome, BuildWish, Operator, Plan, Selection};
use crate::protocol::{Name, PhaseState, Revision};
use std::collections::BTreeSet;
use std::time::Duration;

/// Which repository of the builder it is; without a name, its default one.
#[derive(Debug, Clone)]
pub(in crate::cli) struct BuildFirst {
    pub(in crate::cli) repo: Option<Name>,
}

impl BuildFirst {
    /// Has the builder build what the plan is for, and leaves hosts out whose build did not pass.
    pub(super) async fn carry_out(
        self,
        plan: &mut Plan,
        selection: &Selection,
        operator: &Operator,
        format: Format,
    ) -> Result<(), Failed> {
        let expected: BTreeSet<Name> =
            plan.hosts().into_keys().filter(|host| !plan.silent.contains_key(*host)).cloned().collect();
        let mut out = Out::new();
        let wish =
            BuildWish { repo: self.repo, hosts: targets(&expected, selection), branch: Some(commit(plan)?) };
        let mut follow = operator.build(wish, Duration::from_secs(build::TIMEOUT)).await?;
        let outcome = follow_or_interrupt(&mut follow, format, &mut out).await?;
        let passed = passed(&outcome);
        match format {
            Format::Human => out.line(&format!("\n{}\n", render::builds(&outcome, out.colours))),
            Format::Json => out.event("builds", &outcome),
        }
        plan.only_built(&passed);
        if plan.parcels.is_empty() {
            let error = anyhow::anyhow!("no host was built, so nothing was deployed");
            return Err(Failed { exit: Exit::of_outcome(outcome.exit_code()), error });
        }
        Ok(())
    }
}

/// What the builder is asked for: a tier as a whole is every host of the flake; others are asked for by name.
fn targets(hosts: &BTreeSet<Name>, selection: &Selection) -> Vec<Name> {
    match selection {
        Selection::All { role: None, .. } if hosts.len() > 1 => Vec::new(),
        _ => hosts.iter().cloned().collect(),
    }
}

/// The one commit that every host is to build.
fn commit(plan: &Plan) -> Result<Revision, Failed> {
    let given = plan.intent.revision.clone().filter(Revision::is_commit);
    let commits = plan.commits();
    let only = commits.first().filter(|_| commits.len() == 1).and_then(|commit| Revision::new(*commit).ok());
    given.or(only).ok_or_else(|| {
        Failed::usage(anyhow::anyhow!(
            "the hosts deploy {} flakes, and the builder builds one at a time; deploy them one after the other",
            commits.len()
        ))
    })
}

/// The hosts that were built.
fn passed(outcome: &BuildOutcome) -> BTreeSet<Name> {
    let reports = outcome.builds.iter().filter_map(|build| build.report.as_deref());
    let hosts = reports.flat_map(|report| &report.hosts).filter(|host| host.state == PhaseState::Done);
    hosts.map(|host| host.hostname.clone()).collect()
}
