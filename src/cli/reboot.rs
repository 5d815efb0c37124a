//! `reboot`: reboot hosts in waves; each wave must be back, with a new boot, before the next goes.

use super::connection::ConnectionArgs;
use super::deploy::{Again, Pinning, TIMEOUT, WavesArgs, Wish, YEAR};
use super::effective::{Effective, issuer};
use super::exit::{Exit, Failed};
use super::out::Format;
use crate::deployer::{Intent, Selection, SelectionError};
use crate::protocol::{Action, Name};
use clap::Args;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct RebootArgs {
    /// Hosts, aliases (of the configuration file, or $HOMELAB_DEPLOY_ALIAS_<NAME>); one after the other, unless --batch says more
    #[arg(value_name = "HOST", required_unless_present_any = ["needed", "role", "all"], conflicts_with_all = ["role", "all"])]
    hosts: Vec<String>,
    /// Only hosts that say that they need a reboot; without a host or tier, of all
    #[arg(long)]
    needed: bool,
    /// Every host of the tier with this role
    #[arg(long, requires = "tier", conflicts_with = "all")]
    role: Option<Name>,
    /// Every host of the tier
    #[arg(long, requires = "tier")]
    all: bool,
    /// The tier that --role, --all or --needed mean
    #[arg(long, conflicts_with = "hosts")]
    tier: Option<Name>,
    /// Seconds that each wave may take to come back
    #[arg(long, env = "HOMELAB_DEPLOY_TIMEOUT", default_value_t = TIMEOUT, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Leave out hosts that do not answer
    #[arg(long)]
    skip_offline: bool,
    /// Ask no question
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
        let wish = Wish {
            selection: self.selection(&effective)?,
            waves: Some(self.waves.one_by_one()),
            pinning: Pinning::Never,
            again: self.again(),
            intent: Intent {
                action: Action::Reboot,
                revision: None,
                keep: false,
                issuer: issuer(),
                generation: None,
            },
            needed: self.needed,
            skip_offline: self.skip_offline,
            yes: self.yes,
            timeout: self.timeout,
            output: self.output,
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

    fn selection(&self, effective: &Effective) -> Result<Selection, SelectionError> {
        if self.hosts.is_empty() {
            return Ok(Selection::All { tier: self.tier.clone(), role: self.role.clone() });
        }
        Ok(Selection::Targets(effective.targets(&self.hosts)?))
    }
}
