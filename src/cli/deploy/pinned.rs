//! Looks up the commit of a branch once, so that every host builds the same.

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::confirm;
use crate::deployer::{HEADS_WITHIN, Plan, heads};
use crate::fleet::{Fleet, shown_flake};
use crate::nix::Credentials;
use crate::protocol::Name;
use std::io::Write;
use std::time::Duration;

/// How long a lookup may take that is only for the question.
const FOR_THE_QUESTION: Duration = Duration::from_secs(5);

/// Whether every host is to build the same commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Pinning {
    /// Yes, or nothing is sent.
    Always,
    /// Where somebody is asked, so that what was confirmed is what is built; if it can be looked up.
    WhenAsked,
    /// No: each host looks the branch up itself.
    Never,
}

/// Pins the plan as is wanted; `asks` is whether somebody is asked before it is sent.
pub(super) async fn pin(
    plan: &mut Plan,
    fleet: &Fleet,
    pinning: Pinning,
    asks: bool,
    format: Format,
    credentials: &Credentials,
) -> Result<(), Failed> {
    let within = match pinning {
        Pinning::Always => HEADS_WITHIN,
        Pinning::WhenAsked if asks => FOR_THE_QUESTION,
        Pinning::WhenAsked | Pinning::Never => return Ok(()),
    };
    let Some(branch) = plan.to_pin().cloned() else { return Ok(()) };
    let new: Vec<_> = plan.named_flakes(fleet)?.into_iter().filter(|(_, named)| named.is_new).collect();
    if !new.is_empty() {
        let new: Vec<_> = new.iter().map(|(flake, named)| sentence(flake, &named.hosts)).collect();
        match pinning {
            // Nothing is asked there before the question has shown it.
            Pinning::WhenAsked | Pinning::Never => return Ok(()),
            Pinning::Always if asks => {
                if !confirm::asked(&format!("{}\nLook {branch} up there? Type yes: ", new.join("\n")))? {
                    return Err(Failed::usage(anyhow::anyhow!("not confirmed; nothing was sent")));
                }
            }
            Pinning::Always => new.iter().for_each(|sentence| note(sentence, format)),
        }
    }
    let heads = tokio::select! {
        heads = heads(plan.flakes(), &branch, within, credentials) => heads,
        _ = tokio::signal::ctrl_c() => {
            let error = anyhow::anyhow!("interrupted; nothing was sent");
            return Err(Failed { exit: Exit::Interrupted, error });
        }
    };
    match plan.pin(&heads) {
        Err(error) if pinning == Pinning::Always => Err(error.into()),
        // Nobody promised a commit.
        Err(_) | Ok(()) => Ok(()),
    }
}

fn sentence(flake: &str, hosts: &[&Name]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| host.as_str()).collect();
    let (are, name) = if hosts.len() == 1 { ("is", "names") } else { ("are", "name") };
    format!("{} {are} new here and {name} the flake {}", hosts.join(", "), shown_flake(flake))
}

pub(super) fn note(text: &str, format: Format) {
    match format {
        // A closed standard error does not stop the deployment.
        Format::Human => drop(writeln!(std::io::stderr(), "note: {text}")),
        Format::Json => Out::new().event("note", text),
    }
}
