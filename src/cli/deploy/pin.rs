//! Resolves a branch to a commit once, so that all hosts build the same commit.

use super::super::exit::{CommandError, Exit};
use super::super::output::{Format, Output};
use super::confirm;
use crate::client::{HEADS_WITHIN, Plan, heads};
use crate::fleet::{Fleet, printable_flake};
use crate::git::Credentials;
use crate::protocol::Name;
use std::io::Write;
use std::time::Duration;

/// Time limit of a lookup that only serves the confirmation prompt.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// When to resolve the branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum PinMode {
    /// Always. If it cannot be resolved, nothing is sent.
    Always,
    /// If the operator is prompted, so that hosts build the confirmed commit. A failed lookup is ignored.
    IfPrompted,
    /// Never. Each host resolves the branch.
    Never,
}

impl PinMode {
    /// Whether the branch of this plan is looked up. `prompts` is whether the operator confirms the plan.
    pub(in crate::cli) fn looks_up(self, plan: &Plan, prompts: bool) -> bool {
        plan.revision_to_pin().is_some() && (self == Self::Always || (self == Self::IfPrompted && prompts))
    }
}

/// Pins the plan to a commit according to `pinning`. `prompts` is whether the operator confirms the plan before it is
/// sent.
pub(in crate::cli) async fn pin(
    plan: &mut Plan,
    fleet: &Fleet,
    pinning: PinMode,
    prompts: bool,
    format: Format,
    credentials: &Credentials,
) -> Result<(), CommandError> {
    let within = match pinning {
        PinMode::Always => HEADS_WITHIN,
        PinMode::IfPrompted if prompts => PROMPT_TIMEOUT,
        PinMode::IfPrompted | PinMode::Never => return Ok(()),
    };
    let Some(branch) = plan.revision_to_pin().cloned() else { return Ok(()) };
    let new: Vec<_> = plan.named_flakes(fleet)?.into_iter().filter(|(_, named)| named.is_new).collect();
    if !new.is_empty() {
        let new: Vec<_> = new.iter().map(|(flake, named)| describe_new_flake(flake, &named.hosts)).collect();
        match pinning {
            // A new URL is not contacted before the prompt has shown it.
            PinMode::IfPrompted | PinMode::Never => return Ok(()),
            PinMode::Always if prompts => {
                if !confirm::prompt(&format!("{}\nLook up {branch} there? Type yes: ", new.join("\n")))? {
                    return Err(CommandError::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
                }
            }
            PinMode::Always => new.iter().for_each(|text| note(text, format)),
        }
    }
    let heads = tokio::select! {
        heads = heads(plan.flakes(), &branch, within, credentials) => heads,
        _ = tokio::signal::ctrl_c() => {
            let error = anyhow::anyhow!("interrupted; nothing was sent");
            return Err(CommandError { exit: Exit::Interrupted, error });
        }
    };
    match plan.pin(&heads) {
        Err(error) if pinning == PinMode::Always => Err(error.into()),
        // `IfPrompted` does not guarantee a commit.
        Err(_) | Ok(()) => Ok(()),
    }
}

fn describe_new_flake(flake: &str, hosts: &[&Name]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| host.as_str()).collect();
    let (are, name) = if hosts.len() == 1 { ("is", "names") } else { ("are", "name") };
    format!("{} {are} new here and {name} the flake {}", hosts.join(", "), printable_flake(flake))
}

pub(in crate::cli) fn note(text: &str, format: Format) {
    match format {
        // A closed standard error does not stop the deployment.
        Format::Human => drop(writeln!(std::io::stderr(), "note: {text}")),
        Format::Json => Output::new().event("note", text),
    }
}
