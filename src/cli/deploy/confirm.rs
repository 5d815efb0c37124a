//! The question before a deployment to a tier that matters.

use super::super::exit::Failed;
use super::super::render;
use crate::deployer::{Discovery, Plan};
use crate::protocol::{Action, Name};
use std::io::{self, BufRead, IsTerminal, Write};

/// Whether somebody is asked before this plan is sent.
pub(super) fn asks(plan: &Plan, tiers: &[Name], yes: bool) -> bool {
    !yes && plan.tiers().iter().any(|tier| tiers.contains(tier)) && on_terminal()
}

fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Shows the exact hosts and asks, where the plan touches a tier of those that are confirmed. Without a terminal a subject that
/// was spelled out and an alias go ahead; whatever else was looked up needs `--yes`.
pub(super) fn confirmed(
    plan: &Plan,
    discovery: &Discovery,
    tiers: &[Name],
    yes: bool,
) -> Result<bool, Failed> {
    let touched = plan.tiers();
    let matter: Vec<_> = tiers.iter().filter(|tier| touched.contains(*tier)).map(Name::as_str).collect();
    if yes || matter.is_empty() {
        return Ok(true);
    }
    if !on_terminal() {
        if plan.parcels.iter().all(|parcel| parcel.spelled || parcel.alias) {
            return Ok(true);
        }
        let does = match plan.intent.action {
            Action::Rollback => "rolls back hosts of",
            Action::Reboot => "reboots hosts of",
            _ => "deploys to",
        };
        return Err(Failed::usage(anyhow::anyhow!(
            "this {does} {}, which must be confirmed: add --yes, or name the subject itself",
            matter.join(", ")
        )));
    }
    asked(&format!("{}\nGo on? Type yes: ", render::plan(plan, discovery)))
}

/// Asks on the terminal; gives whether the answer was yes.
pub(super) fn asked(question: &str) -> Result<bool, Failed> {
    ask(question).map_err(|error| Failed::usage(anyhow::Error::new(error).context("could not ask")))
}

fn ask(question: &str) -> io::Result<bool> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
