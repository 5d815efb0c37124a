//! Looks up the commit of a branch once, so that every host builds the same.

use super::super::exit::{Exit, Failed};
use crate::deployer::{HEADS_WITHIN, Plan, heads};
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
pub(super) async fn pin(plan: &mut Plan, pinning: Pinning, asks: bool) -> Result<(), Failed> {
    let within = match pinning {
        Pinning::Always => HEADS_WITHIN,
        Pinning::WhenAsked if asks => FOR_THE_QUESTION,
        Pinning::WhenAsked | Pinning::Never => return Ok(()),
    };
    let Some(branch) = plan.to_pin().cloned() else { return Ok(()) };
    let heads = tokio::select! {
        heads = heads(plan.flakes(), &branch, within) => heads,
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
