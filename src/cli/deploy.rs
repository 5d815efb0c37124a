//! `deploy`: send a revision to hosts and follow each to its verdict.

mod again;
mod build_first;
mod confirm;
mod follow;
mod pinned;
mod progress;
mod waves;
mod wish;

pub(super) use again::Again;
use build_first::BuildFirst;
pub(super) use follow::{follow_or_interrupt, follow_to_the_end};
pub(super) use pinned::Pinning;
pub(super) use waves::WavesArgs;
pub(super) use wish::{Wish, YEAR};

use super::connection::ConnectionArgs;
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::{Action, Name, Revision};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::time::Duration;

/// How long a deployment is followed, in seconds.
pub(super) const TIMEOUT: u64 = 900;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct DeployArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Branch, tag or full commit; without, the context's branch, else master
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// What to do
    #[arg(long, env = "HOMELAB_DEPLOY_ACTION", default_value = "switch", value_parser = actions())]
    action: Action,
    /// Seconds to follow the deployment, or each wave
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Seconds that each activation may take, if that is less than the listener's own limit
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    activate_timeout: Option<u64>,
    /// Look the branch up once, so that every host builds the same commit; always so with waves
    #[arg(long, conflicts_with = "no_pin")]
    pin: bool,
    /// Let each host look the branch up itself, also with waves
    #[arg(long)]
    no_pin: bool,
    /// Have the builder build the commit first, and deploy only to hosts whose build passes
    #[arg(long, conflicts_with = "no_pin")]
    build_first: bool,
    /// The repository for --build-first, as the builder calls it; without, its default one
    #[arg(long, value_name = "NAME", requires = "build_first")]
    build_repo: Option<Name>,
    /// Do not roll back for failed units or health checks
    #[arg(long)]
    keep: bool,
    /// Deploy a commit that is older than the last one deployed from its branch
    #[arg(long)]
    allow_older: bool,
    /// Leave out hosts that do not answer
    #[arg(long)]
    skip_offline: bool,
    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    waves: WavesArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The actions that take a revision.
fn actions() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(["switch", "boot", "test", "dry-activate", "build"])
        .map(|action| Action::from(action.as_str()))
}

impl DeployArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let waves = self.waves.waves()?;
        let pinning = match (&waves, self.pin, self.no_pin) {
            (_, _, true) => Pinning::Never,
            (None, false, _) if !self.build_first => Pinning::WhenAsked,
            _ => Pinning::Always,
        };
        let again = self.again();
        let revision = Some(effective.branch(self.branch));
        let activate_timeout = self.activate_timeout.map(Duration::from_secs);
        let intent = Intent {
            revision,
            keep: self.keep,
            activate_timeout,
            allow_older: self.allow_older,
            ..Intent::new(self.action, issuer())
        };
        let selection = self.selector.selection(&effective)?;
        let wish = Wish {
            waves,
            pinning,
            build_first: self.build_first.then_some(BuildFirst { repo: self.build_repo }),
            skip_offline: self.skip_offline,
            yes: self.yes,
            ..Wish::new(intent, selection, self.timeout, self.output, again)
        };
        wish.carry_out(&effective).await
    }

    fn again(&self) -> Again {
        let mut again = Again::new("deploy", &self.connection).waves(&self.waves, false);
        again.flag("--action", (self.action != Action::Switch).then(|| self.action.to_string()));
        again.flag("--timeout", (self.timeout != TIMEOUT).then(|| self.timeout.to_string()));
        again.flag("--activate-timeout", self.activate_timeout.map(|seconds| seconds.to_string()));
        again.switch("--no-pin", self.no_pin);
        again.switch("--build-first", self.build_first);
        again.flag("--build-repo", self.build_repo.as_ref().map(ToString::to_string));
        again.switch("--keep", self.keep);
        again.switch("--allow-older", self.allow_older);
        again.switch("--skip-offline", self.skip_offline);
        again.switch("--yes", self.yes);
        again
    }
}
