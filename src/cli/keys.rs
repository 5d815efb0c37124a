//! `keys`: make keys, and the permissions for them.

use super::exit::{Exit, Failed};
use super::out::Out;
use crate::keys::{Kind, Seed, parse_fleet_file, render_authorization};
use crate::protocol::Name;
use anyhow::{Context, bail};
use clap::Subcommand;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Write a new seed to a file and print its public key
    New {
        /// listener, deployer, admin, viewer, builder or mcp
        kind: Kind,
        /// The host, for a listener
        #[arg(long)]
        host: Option<Name>,
        /// The tiers, for a listener or deployer; repeatable
        #[arg(long)]
        tier: Vec<Name>,
        /// Where to write the seed [default: <host or kind>.nkey]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the authorization block of a NATS server for a fleet
    NatsConfig {
        /// The fleet: [hosts.<name>] with tier, role and public_key, [operators.<name>] with kind, tiers and public_key
        file: PathBuf,
    },
}

impl KeysCommand {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        let done = match self {
            Self::New { kind, host, tier, out } => new(kind, host.as_ref(), &tier, out),
            Self::NatsConfig { file } => nats_config(&file),
        };
        done.map_err(Failed::usage)?;
        Ok(Exit::Done)
    }
}

fn new(kind: Kind, host: Option<&Name>, tiers: &[Name], file: Option<PathBuf>) -> anyhow::Result<()> {
    if host.is_some() && kind != Kind::Listener {
        bail!("--host is for a listener; {} belongs to a person or a service", kind.as_str());
    }
    if !tiers.is_empty() && !matches!(kind, Kind::Listener | Kind::Deployer) {
        bail!("--tier is for a listener or deployer");
    }
    if kind == Kind::Listener && tiers.len() > 1 {
        bail!("a host has one tier; give --tier once");
    }
    let name = host.map_or(kind.as_str(), Name::as_str);
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.nkey")));
    let seed = Seed::generate()?;
    seed.write_new(&file)?;
    Out::new().line(seed.public_key());
    let entry = entry(kind, name, tiers, seed.public_key());
    // A hint beside the public key, which alone is the result.
    let hint = format!("the seed is in {}; the entry for `keys nats-config`:\n\n{entry}", file.display());
    let _ = writeln!(std::io::stderr(), "{hint}");
    Ok(())
}

/// The entry of the fleet file, with placeholders for what was not said.
fn entry(kind: Kind, name: &str, tiers: &[Name], key: &str) -> String {
    let tiers: Vec<_> = tiers.iter().map(|tier| format!("{:?}", tier.as_str())).collect();
    match kind {
        Kind::Listener => {
            let tier = tiers.first().cloned().unwrap_or_else(|| "\"prod\"".to_owned());
            format!("[hosts.{name}]\ntier = {tier}\npublic_key = \"{key}\"")
        }
        Kind::Deployer => {
            let tiers = if tiers.is_empty() { "\"test\"".to_owned() } else { tiers.join(", ") };
            format!("[operators.{name}]\nkind = \"deployer\"\ntiers = [{tiers}]\npublic_key = \"{key}\"")
        }
        kind => format!("[operators.{name}]\nkind = \"{}\"\npublic_key = \"{key}\"", kind.as_str()),
    }
}

fn nats_config(file: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    let users = parse_fleet_file(&text).with_context(|| file.display().to_string())?;
    Out::new().line(render_authorization(&users).trim_end());
    Ok(())
}
