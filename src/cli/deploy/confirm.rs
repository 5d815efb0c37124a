//! Confirmation prompt before a deployment to a tier of `confirm_tiers`.

use super::super::exit::CommandError;
use super::super::render;
use crate::client::{Discovery, Plan};
use crate::protocol::{Action, Name};
use std::io::{self, BufRead, IsTerminal, Write};

/// Whether the operator is prompted before this plan is sent.
pub(in crate::cli) fn is_needed(plan: &Plan, tiers: &[Name], yes: bool) -> bool {
    !yes && plan.tiers().iter().any(|tier| tiers.contains(tier)) && is_terminal()
}

fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Shows the exact hosts and prompts, if the plan affects a tier that must be confirmed. Without a terminal, literal
/// subjects and aliases proceed; other targets require `--yes`.
pub(in crate::cli) fn confirm(
    plan: &Plan,
    discovery: &Discovery,
    tiers: &[Name],
    yes: bool,
) -> Result<bool, CommandError> {
    let affected = plan.tiers();
    let confirmed: Vec<_> = tiers.iter().filter(|tier| affected.contains(*tier)).map(Name::as_str).collect();
    if yes || confirmed.is_empty() {
        return Ok(true);
    }
    if !is_terminal() {
        if plan.requests.iter().all(|request| request.is_explicit || request.is_alias) {
            return Ok(true);
        }
        let does = match plan.intent.action {
            Action::Rollback => "rolls back hosts of",
            Action::Reboot => "reboots hosts of",
            Action::Resume => "continues jobs on hosts of",
            _ => "deploys to",
        };
        // These go to named hosts only.
        let is_by_name = plan.intent.action == Action::Resume || plan.intent.needs_services();
        let subject = if is_by_name { "" } else { ", or give the subject as the target" };
        return Err(CommandError::usage(anyhow::anyhow!(
            "this {does} {}, which must be confirmed: add --yes{subject}",
            confirmed.join(", ")
        )));
    }
    prompt(&format!("{}\nContinue? Type yes: ", render::plan(plan, discovery)))
}

/// Prompts on the terminal. Returns whether the answer was yes.
pub(in crate::cli) fn prompt(question: &str) -> Result<bool, CommandError> {
    read_answer(question).map_err(|error| {
        CommandError::usage(anyhow::Error::new(error).context("could not read the answer to the prompt"))
    })
}

fn read_answer(question: &str) -> io::Result<bool> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{question}")?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}
