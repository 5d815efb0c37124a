//! How a listener treats its host when it activates a new system.

use crate::activation::{HostPaths, Policy};
use crate::jobs::HealthRules;
use crate::listener::Peers;
use crate::nix::SYSTEM_PROFILE;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(next_help_heading = "Activation (without --rebuild-command)")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct PolicyArgs {
    /// Refuse a host that systemd calls degraded
    #[arg(long)]
    require_healthy: bool,
    /// A command to run after an activation until it succeeds; repeatable
    #[arg(long, value_name = "COMMAND")]
    health_check: Vec<String>,
    /// Seconds that the health checks may take together
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    health_timeout: u64,
    /// A program inside the new closure that may refuse it
    #[arg(long, default_value = "pre-activate-safety-checks", value_name = "PATH")]
    pre_activate_script: String,
    /// Seconds to prove that the host can still be reached; 0: no proof
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=86400))]
    confirm_timeout: u64,
    /// Seconds between an activation that touched network or listener and its last confirmation
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=3600))]
    confirm_hold: u64,
    /// Hosts of which one must be heard after an activation: any, or names with commas
    #[arg(long, value_name = "any|HOST,…")]
    confirm_peers: Option<Peers>,
    /// Seconds that an activation may take; a request may lower it
    #[arg(long, default_value_t = 900, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    activate_timeout: u64,
    /// Never reboot the host to bring the old system back
    #[arg(long)]
    no_last_resort_reboot: bool,
    /// A glob of units whose failure does not count; repeatable
    #[arg(long, value_name = "GLOB")]
    ignore_unit: Vec<String>,
    /// Leave a new system running whose units or checks fail; a lost link still rolls back
    #[arg(long)]
    no_rollback: bool,
    /// Build nothing here: refuse what no cache holds, so that the builder builds it
    #[arg(long, conflicts_with = "rebuild_command")]
    no_local_build: bool,
    /// Let the nixConfig of the flake set options of nix
    #[arg(long, conflicts_with = "rebuild_command")]
    accept_flake_config: bool,
    /// What must be free on the nix store and in the state directory
    #[arg(long, default_value = "1GiB", value_name = "SIZE", value_parser = parse_size)]
    min_free: u64,
    /// The root directory of the host
    #[arg(long, hide = true, default_value = "/", value_name = "DIR")]
    root: PathBuf,
    /// The system profile
    #[arg(long, hide = true, default_value = SYSTEM_PROFILE, value_name = "PATH")]
    profile: PathBuf,
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" | "K" => 10,
        "MiB" | "M" => 20,
        "GiB" | "G" => 30,
        "TiB" | "T" => 40,
        _ => 64,
    };
    let number: Option<u64> = text[..digits].parse().ok();
    number
        .and_then(|number| number.checked_mul(1_u64.checked_shl(shift)?))
        .ok_or_else(|| "write a size as in 500MiB or 1GiB".to_owned())
}

impl PolicyArgs {
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

    pub(super) fn confirm_peers(&self) -> Option<Peers> {
        self.confirm_peers.clone()
    }

    /// What a listener that is started after an activation hands to the worker that judges it.
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
