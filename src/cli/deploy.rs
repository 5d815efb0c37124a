//! `deploy`: deploy a revision to hosts and follow each until it has a result.

pub(super) mod build_first;
pub(super) mod confirm;
mod follow;
pub(super) mod pin;
mod rollout_args;

use build_first::BuildFirst;
pub(super) use follow::{follow_or_interrupt, follow_to_end};
pub(super) use pin::PinMode;
pub(super) use rollout_args::RolloutArgs;

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::operation::{Operation, YEAR};
use super::output::Format;
use super::resolved_config::issuer;
use super::resume_command::ResumeCommand;
use super::selector::SelectorArgs;
use crate::client::Intent;
use crate::protocol::{Action, Name, Revision};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::time::Duration;

/// Default time to follow a deployment, in seconds.
pub(super) const TIMEOUT: u64 = 900;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
pub(super) struct DeployArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Branch, tag or full commit [default: the context's branch, else master]
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Action to perform
    #[arg(long, env = "HOMELAB_DEPLOY_ACTION", default_value = "switch", value_parser = actions())]
    action: Action,
    /// Time to follow the deployment, or each batch, in seconds
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Time limit of each activation in seconds, if lower than the listener's limit
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    activate_timeout: Option<u64>,
    /// Resolve the branch once, so all hosts build the same commit; implied by batches
    #[arg(long, conflicts_with = "no_pin")]
    pin: bool,
    /// Let each host resolve the branch, even in batches
    #[arg(long)]
    no_pin: bool,
    /// Have the builder build the commit first; deploy only to hosts that build
    #[arg(long, conflicts_with = "no_pin")]
    build_first: bool,
    /// Repository name for --build-first [default: the builder's default repository]
    #[arg(long, value_name = "NAME", requires = "build_first")]
    build_repo: Option<Name>,
    /// Do not roll back if units or health checks fail
    #[arg(long)]
    no_rollback: bool,
    /// Allow a commit that is older than the last one deployed from its branch
    #[arg(long)]
    allow_older: bool,
    /// Only this service of a host with Docker Compose; repeatable
    #[arg(long, value_name = "NAME")]
    service: Vec<Name>,
    /// Remove services that are not assigned to the host any more
    #[arg(long)]
    prune: bool,
    /// Skip hosts that do not answer
    #[arg(long)]
    skip_offline: bool,
    /// Continue in the background: print the id, and end
    #[arg(long)]
    detach: bool,
    /// Skip the confirmation prompt
    #[arg(long)]
    yes: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    rollout: RolloutArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// Actions that take a revision.
fn actions() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(["switch", "boot", "test", "dry-activate", "build"])
        .map(|action| Action::from(action.as_str()))
}

impl DeployArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let resolved = self.connection.resolve()?;
        let rollout = self.rollout.rollout()?;
        let pinning = match (&rollout, self.pin, self.no_pin) {
            (_, _, true) => PinMode::Never,
            (None, false, _) if !self.build_first => PinMode::IfPrompted,
            _ => PinMode::Always,
        };
        let resume = self.resume_command();
        let revision = Some(resolved.branch(self.branch));
        let activate_timeout = self.activate_timeout.map(Duration::from_secs);
        let intent = Intent {
            revision,
            no_rollback: self.no_rollback,
            activate_timeout,
            allow_older: self.allow_older,
            services: self.service,
            prune: self.prune,
            ..Intent::new(self.action, issuer())
        };
        let selection = self.selector.selection(&resolved)?;
        let operation = Operation {
            rollout,
            pinning,
            build_first: self.build_first.then_some(BuildFirst { repo: self.build_repo }),
            skip_offline: self.skip_offline,
            yes: self.yes,
            background: Some(self.connection.detached_runner(&resolved)?),
            detach: self.detach,
            ..Operation::new(intent, selection, self.timeout, self.output, resume)
        };
        operation.run(&resolved).await
    }

    fn resume_command(&self) -> ResumeCommand {
        let mut resume =
            ResumeCommand::for_subcommand("deploy", &self.connection).rollout(&self.rollout, false);
        resume.flag("--action", (self.action != Action::Switch).then(|| self.action.to_string()));
        resume.flag("--timeout", (self.timeout != TIMEOUT).then(|| self.timeout.to_string()));
        resume.flag("--activate-timeout", self.activate_timeout.map(|seconds| seconds.to_string()));
        resume.switch("--no-pin", self.no_pin);
        resume.switch("--build-first", self.build_first);
        resume.flag("--build-repo", self.build_repo.as_ref().map(ToString::to_string));
        resume.switch("--no-rollback", self.no_rollback);
        resume.switch("--allow-older", self.allow_older);
        for service in &self.service {
            resume.flag("--service", Some(service.to_string()));
        }
        resume.switch("--prune", self.prune);
        resume.switch("--skip-offline", self.skip_offline);
        resume.switch("--detach", self.detach);
        resume.switch("--yes", self.yes);
        resume
    }
}
