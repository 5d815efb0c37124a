//! Prints a deployment as it goes, and how it ended.

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::render;
use super::progress::Progress;
use crate::deployer::{Follow, Update};
use crate::protocol::Action;
use jiff::Timestamp;

/// Follows until every host has its verdict, or until Ctrl-C.
pub(in crate::cli) async fn follow_or_interrupt(follow: Follow, format: Format) -> Result<Exit, Failed> {
    let id = follow.plan().id.clone();
    tokio::select! {
        exit = follow_to_the_end(follow, format) => exit,
        _ = tokio::signal::ctrl_c() => {
            let error = anyhow::anyhow!(
                "interrupted; what runs on the hosts goes on, `homelab-deploy status` shows it (deployment {id})"
            );
            Err(Failed { exit: Exit::Interrupted, error })
        }
    }
}

/// Follows until every host has its verdict; the table comes last.
pub(in crate::cli) async fn follow_to_the_end(mut follow: Follow, format: Format) -> Result<Exit, Failed> {
    let mut out = Out::new();
    let mut progress = (format == Format::Human).then(|| Progress::new(&follow, out.live));
    while let Some(update) = follow.next().await {
        match (update?, &mut progress) {
            (update, Some(progress)) => progress.show(&update, &mut out),
            (Update::Report(report), None) => out.event("report", &*report),
            (Update::Note(note) | Update::Again { note, .. }, None) => out.event("note", note),
        }
    }
    // Clears the live lines.
    drop(progress);
    let outcome = follow.outcome();
    let exit = Exit::of_outcome(outcome.exit_code());
    match format {
        Format::Human => {
            out.line(&format!("\n{}", render::outcome(&outcome, Timestamp::now(), out.colours)));
            if follow.plan().intent.action == Action::DryActivate {
                for changes in render::changes(&outcome, &follow.fleet) {
                    out.line(&format!("\n{changes}"));
                }
            }
        }
        Format::Json => out.result(exit, outcome),
    }
    Ok(exit)
}
