//! Prints a deployment as it goes, and how it ended.

use super::super::exit::{Exit, Failed};
use super::super::out::{Format, Out};
use super::super::render;
use super::again::Again;
use super::progress::Progress;
use crate::deployer::{Follow, Update};
use crate::protocol::Action;
use jiff::Timestamp;

/// Follows until every host has its verdict, or until Ctrl-C. `again` is the command for hosts that were left out.
pub(in crate::cli) async fn follow_or_interrupt(
    mut follow: Follow,
    format: Format,
    again: Option<&Again>,
) -> Result<Exit, Failed> {
    let id = follow.plan().id.clone();
    tokio::select! {
        exit = follow_on(&mut follow, format, again) => return exit,
        _ = tokio::signal::ctrl_c() => {}
    }
    let mut text = format!(
        "interrupted; what runs on the hosts goes on, `homelab-deploy status` shows it (deployment {id})"
    );
    let untouched = follow.plan().untouched();
    if let Some(again) = again.filter(|_| !untouched.is_empty()) {
        let line = again.line(&untouched, None);
        text = format!("{text}. No further wave begins; this goes on with the rest:\n  {line}");
    }
    Err(Failed { exit: Exit::Interrupted, error: anyhow::anyhow!(text) })
}

/// Follows until every host has its verdict; the table comes last.
pub(in crate::cli) async fn follow_to_the_end(mut follow: Follow, format: Format) -> Result<Exit, Failed> {
    follow_on(&mut follow, format, None).await
}

async fn follow_on(follow: &mut Follow, format: Format, again: Option<&Again>) -> Result<Exit, Failed> {
    let mut out = Out::new();
    let mut progress = (format == Format::Human).then(|| Progress::new(follow, out.live));
    while let Some(update) = follow.next().await {
        match (update?, &mut progress) {
            (update, Some(progress)) => progress.show(&update, &mut out),
            (Update::Report(report), None) => out.event("report", &*report),
            (Update::Wave(wave), None) => out.event("wave", wave),
            (Update::Note(note) | Update::Again { note, .. }, None) => out.event("note", note),
        }
    }
    // Clears the live lines.
    drop(progress);
    let outcome = follow.outcome();
    let exit = Exit::of_outcome(outcome.exit_code());
    let rest = again.filter(|_| !outcome.untouched.is_empty());
    let rest = rest.map(|again| again.line(&outcome.untouched, outcome.stopped));
    match format {
        Format::Human => {
            out.line(&format!("\n{}", render::outcome(&outcome, Timestamp::now(), out.colours)));
            if follow.plan().intent.action == Action::DryActivate {
                for changes in render::changes(&outcome, &follow.fleet) {
                    out.line(&format!("\n{changes}"));
                }
            }
            if !outcome.unbuilt.is_empty() {
                out.line(&format!("\n{}", render::unbuilt(&outcome)));
            }
            if !outcome.left_out.is_empty() {
                out.line(&format!("\n{}", render::left_out(&outcome)));
            }
            if let Some(rest) = rest {
                out.line(&format!("\n{}\n  {rest}", render::untouched(&outcome)));
            }
        }
        Format::Json => {
            if let Some(rest) = rest {
                out.event("rest", rest);
            }
            out.result(exit, outcome);
        }
    }
    Ok(exit)
}
