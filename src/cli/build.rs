//! `build`: ask the builder to build hosts, and follow it to the end.

mod progress;

use super::connection::ConnectionArgs;
use super::deploy::YEAR;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::render;
use crate::deployer::{BuildFollow, BuildOutcome, BuildUpdate, BuildWish};
use crate::protocol::{Name, Revision};
use clap::Args;
use progress::Progress;
use std::time::Duration;

/// How long builds are followed, in seconds: as long as a builder lets them run where nothing else is said.
pub(super) const TIMEOUT: u64 = 4 * 3600;

#[derive(Debug, Args)]
pub(super) struct BuildArgs {
    /// The hosts
    #[arg(value_name = "HOST", required_unless_present = "all", conflicts_with = "all")]
    hosts: Vec<Name>,
    /// Every host of the flake
    #[arg(long)]
    all: bool,
    /// The repository, as the builder calls it; without, its default one
    #[arg(long, value_name = "NAME")]
    repo: Option<Name>,
    /// Branch, tag or full commit; without, the default branch of the repository
    #[arg(long)]
    branch: Option<Revision>,
    /// Seconds to follow the builds
    #[arg(long, default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl BuildArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let operator = self.connection.effective()?.operator().await?;
        let wish = BuildWish { repo: self.repo, hosts: self.hosts, branch: self.branch };
        let mut follow = operator.build(wish, Duration::from_secs(self.timeout)).await?;
        let mut out = Out::new();
        let outcome = follow_or_interrupt(&mut follow, self.output, &mut out).await?;
        let exit = Exit::of_outcome(outcome.exit_code());
        match self.output {
            Format::Human => out.line(&format!("\n{}", render::builds(&outcome, out.colours))),
            Format::Json => out.result(exit, outcome),
        }
        Ok(exit)
    }
}

/// Follows builds until each has its verdict, or until Ctrl-C.
pub(super) async fn follow_or_interrupt(
    follow: &mut BuildFollow,
    format: Format,
    out: &mut Out,
) -> Result<BuildOutcome, Failed> {
    let mut progress = (format == Format::Human).then(|| Progress::new(out.live));
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            _ = tokio::signal::ctrl_c() => {
                let error = anyhow::anyhow!("interrupted; what the builder builds goes on");
                return Err(Failed { exit: Exit::Interrupted, error });
            }
        };
        match (update.transpose()?, &mut progress) {
            (None, _) => break,
            (Some(update), Some(progress)) => progress.show(&update, out),
            (Some(BuildUpdate::Report(report)), None) => out.event("build", &*report),
            (Some(BuildUpdate::Note(note)), None) => out.event("note", note),
        }
    }
    // Clears the live lines.
    drop(progress);
    Ok(follow.outcome())
}
