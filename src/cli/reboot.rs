//! `reboot`: reboot hosts in waves; each wave must be back, with a new boot, before the next goes.

use super::connection::ConnectionArgs;
use super::deploy::{Again, TIMEOUT, WavesArgs, Wish, YEAR};
use super::effective::issuer;
use super::exit::{Exit, Failed};
use super::out::Format;
use super::selector::SelectorArgs;
use crate::deployer::Intent;
use crate::protocol::Action;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct RebootArgs {
    #[command(flatten)]
    selector: SelectorArgs,
    /// Only hosts that say that they need a reboot; where no others are meant, of all hosts, or of the tier
    #[arg(long)]
    needed: bool,
    /// Seconds that each wave may take to come back
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
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

impl RebootArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let effective = self.connection.effective()?;
        let selector = &self.selector;
        let selection = if self.needed {
            selector.selection_or_all(&effective)?
        } else {
            selector.selection(&effective)?
        };
        let intent = Intent::new(Action::Reboot, issuer());
        let wish = Wish {
            waves: Some(self.waves.one_by_one()),
            needed: self.needed,
            skip_offline: self.skip_offline,
            yes: self.yes,
            ..Wish::new(intent, selection, self.timeout, self.output, self.again())
        };
        wish.carry_out(&effective).await
    }

    fn again(&self) -> Again {
        let mut again = Again::new("reboot", &self.connection).waves(&self.waves, true);
        again.flag("--timeout", (self.timeout != TIMEOUT).then(|| self.timeout.to_string()));
        again.switch("--skip-offline", self.skip_offline);
        again.switch("--yes", self.yes);
        again
    }
}
