//! `keys`: make keys, and the permissions for them.

mod rotate;

use super::exit::{Exit, Failed};
use super::out::Out;
use crate::keys::{Kind, Seed, User, parse_fleet_file, render_authorization_at};
use crate::protocol::Name;
use anyhow::{Context, bail};
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Write a new seed to a file and print its public key
    New {
        /// What the key is for
        #[arg(value_parser = kinds())]
        kind: Kind,
        /// The host, for a listener
        #[arg(long)]
        host: Option<Name>,
        /// The person or service, for the others; it names the entry and the file [default: the kind]
        #[arg(long, conflicts_with = "host")]
        name: Option<Name>,
        /// The tiers, for a listener or deployer; repeatable
        #[arg(long)]
        tier: Vec<Name>,
        /// Where to write the seed [default: <host, name or kind>.nkey]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the authorization block of a NATS server for a fleet
    NatsConfig {
        /// The fleet: [hosts.<name>] with tier, role and public_key, [operators.<name>] with kind, tiers and public_key
        file: PathBuf,
    },
    /// Replace the key of an operator or host, with both accepted until every host knows the new one
    Rotate(Box<rotate::RotateArgs>),
}

impl KeysCommand {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let done = match self {
            Self::Rotate(args) => return args.run().await,
            Self::New { kind, host, name, tier, out } => new(kind, host.as_ref(), name.as_ref(), &tier, out),
            Self::NatsConfig { file } => nats_config(&file),
        };
        done.map_err(Failed::usage)?;
        Ok(Exit::Done)
    }
}

/// The kinds of credentials.
fn kinds() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)).try_map(|kind| kind.parse::<Kind>())
}

fn new(
    kind: Kind,
    host: Option<&Name>,
    name: Option<&Name>,
    tiers: &[Name],
    file: Option<PathBuf>,
) -> anyhow::Result<()> {
    if name.is_some() && kind == Kind::Listener {
        bail!("--name is for a person or a service; a listener belongs to a host: give --host");
    }
    if host.is_some() && kind != Kind::Listener {
        bail!("--host is for a listener; {} belongs to a person or a service", kind.as_str());
    }
    if !tiers.is_empty() && !matches!(kind, Kind::Listener | Kind::Deployer) {
        bail!("--tier is for a listener or deployer");
    }
    if kind == Kind::Listener && tiers.len() > 1 {
        bail!("a host has one tier; give --tier once");
    }
    let name = host.or(name).map_or(kind.as_str(), Name::as_str);
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.nkey")));
    let seed = Seed::generate()?;
    seed.write_new(&file)?;
    Out::new().line(seed.public_key());
    let entry = entry(kind, name, tiers, seed.public_key());
    note(&format!("the seed is in {}; the entry for `keys nats-config`:\n\n{entry}", file.display()));
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
    let users = read_fleet_file(file)?.1;
    let now = Timestamp::now();
    let expired = |user: &User| Some((user.entry.clone(), user.expired_at(now)?));
    let expired: Vec<_> = users.iter().filter_map(expired).collect();
    if expired.len() == users.len() {
        bail!(
            "{}: every entry has expired; give one a later `expires`, because a server without any user lets everybody in",
            file.display()
        );
    }
    for (entry, at) in expired {
        note(&format!("warning: {entry} is left out, because it expired at {at}"));
    }
    Out::new().line(render_authorization_at(&users, now).trim_end());
    Ok(())
}

/// A fleet file: its text, and what it says.
fn read_fleet_file(file: &Path) -> anyhow::Result<(String, Vec<User>)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    let users = parse_fleet_file(&text).with_context(|| file.display().to_string())?;
    Ok((text, users))
}

/// Says something beside the result, which alone is on standard output.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
