//! Arguments that control how a listener activates a new system.

use crate::activation::{HostPaths, Policy};
use crate::jobs::HealthRules;
use crate::listener::ConfirmPeers;
use crate::nix::SYSTEM_PROFILE;
use crate::text::format;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Activation (without --rebuild-command)")]
#[expect(clippy::struct_excessive_bools, reason = "each is a separate flag")]
pub(super) struct ActivationArgs {
    /// Refuse to deploy while systemd reports the host as degraded
    #[arg(long)]
    require_healthy: bool,
    /// Command to run after an activation until it succeeds; repeatable
    #[arg(long, value_name = "COMMAND")]
    health_check: Vec<String>,
    /// Time limit for all health checks together, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    health_timeout: u64,
    /// Program inside the new closure that can refuse the activation
    #[arg(long, default_value = "pre-activate-safety-checks", value_name = "PATH")]
    pre_activate_script: String,
    /// Seconds to confirm that the host still reaches the NATS server; 0 disables this
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86400))]
    confirm_timeout: u64,
    /// Minimum seconds until the last confirmation if network or listener changed
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3600))]
    confirm_hold: u64,
    /// Require another host to confirm an activation: any, or comma-separated names
    #[arg(long, value_name = "any|HOST,…")]
    confirm_peers: Option<ConfirmPeers>,
    /// Time limit of an activation, in seconds; a request can lower it
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    activate_timeout: u64,
    /// Never reboot the host to restore the previous system
    #[arg(long)]
    no_last_resort_reboot: bool,
    /// Glob of units whose failures are ignored; repeatable
    #[arg(long, value_name = "GLOB")]
    ignore_unit: Vec<String>,
    /// Keep a system whose units or checks fail; a lost connection still rolls back
    #[arg(long)]
    no_rollback: bool,
    /// Build nothing locally; refuse a system that no binary cache has
    #[arg(long, conflicts_with = "rebuild_command")]
    no_local_build: bool,
    /// Let the flake's nixConfig set nix options
    #[arg(long, conflicts_with = "rebuild_command")]
    accept_flake_config: bool,
    /// Minimum free space for the nix store and the state directory
    #[arg(long, default_value = "1GiB", value_name = "SIZE", value_parser = parse_size)]
    min_free: u64,
    /// Root directory of the host
    #[arg(long, hide = true, default_value = "/", value_name = "DIR")]
    root: PathBuf,
    /// System profile
    #[arg(long, hide = true, default_value = SYSTEM_PROFILE, value_name = "PATH")]
    profile: PathBuf,
}

fn parse_size(text: &str) -> Result<u64, String> {
    format::parse_size(text).ok_or_else(|| "expected a size such as 500MiB or 1GiB".to_owned())
}

impl ActivationArgs {
    pub(super) fn policy(&self) -> Policy {
        Policy {
            require_healthy: self.require_healthy,
            health_checks: self.health_check.clone(),
            health_timeout: Duration::from_secs(self.health_timeout),
            pre_activate_script: self.pre_activate_script.clone(),
            confirm_timeout: Duration::from_secs(self.confirm_timeout),
            confirm_hold: Duration::from_secs(self.confirm_hold),
            activate_timeout: Duration::from_secs(self.activate_timeout),
            last_resort_reboot: !self.no_last_resort_reboot,
            ignore_units: self.ignore_unit.clone(),
            no_local_build: self.no_local_build,
            accept_flake_config: self.accept_flake_config,
            no_rollback: self.no_rollback,
            min_free: self.min_free,
        }
    }

    pub(super) fn confirm_peers(&self) -> Option<ConfirmPeers> {
        self.confirm_peers.clone()
    }

    /// Health rules that a restarted listener passes to the worker that verifies the activation.
    pub(super) fn rules(&self) -> HealthRules {
        HealthRules {
            health_checks: self.health_check.clone(),
            health_timeout_s: self.health_timeout,
            ignore_units: self.ignore_unit.clone(),
        }
    }

    pub(super) fn host(&self) -> HostPaths {
        HostPaths { root: self.root.clone(), profile: self.profile.clone() }
    }
}
