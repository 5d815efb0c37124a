//! `keys`: create and rotate keys, and generate NATS permissions.

use super::exit::{CommandError, Exit};
use super::keys_rotate::RotateArgs;
use super::output::Output;
use crate::keys::{CredentialKind, User, UserSeed, read_fleet_file, render_authorization_at};
use crate::protocol::Name;
use anyhow::bail;
use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use std::io::Write;
use std::path::{Path, PathBuf};
use strum::VariantArray as _;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Write a new seed to a file and print its public key
    New {
        /// Purpose of the key
        #[arg(value_parser = kinds())]
        kind: CredentialKind,
        /// Host, for a listener
        #[arg(long)]
        host: Option<Name>,
        /// Person or service, for other kinds; names entry and file [default: the kind]
        #[arg(long, conflicts_with = "host")]
        name: Option<Name>,
        /// Tiers, for a listener or deployer; repeatable
        #[arg(long)]
        tier: Vec<Name>,
        /// File for the seed [default: <host, name or kind>.nkey]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the authorization block of the NATS server configuration for a fleet
    NatsConfig {
        /// Fleet file: [hosts.<name>] with tier, role, public_key and [operators.<name>] with kind, tiers, public_key
        file: PathBuf,
    },
    /// Replace the key of an operator or host; both keys are valid until the rotation is finished
    Rotate(Box<RotateArgs>),
}

impl KeysCommand {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        let done = match self {
            Self::Rotate(args) => return Box::pin(args.run()).await,
            Self::New { kind, host, name, tier, out } => new(kind, host.as_ref(), name.as_ref(), &tier, out),
            Self::NatsConfig { file } => nats_config(&file),
        };
        done.map_err(CommandError::usage)?;
        Ok(Exit::Success)
    }
}

/// Parses a kind of credential.
fn kinds() -> impl TypedValueParser<Value = CredentialKind> {
    PossibleValuesParser::new(CredentialKind::VARIANTS.iter().map(|kind| kind.as_str()))
        .try_map(|kind| kind.parse::<CredentialKind>())
}

fn new(
    kind: CredentialKind,
    host: Option<&Name>,
    name: Option<&Name>,
    tiers: &[Name],
    file: Option<PathBuf>,
) -> anyhow::Result<()> {
    if name.is_some() && kind == CredentialKind::Listener {
        bail!("--name is for a person or service, but a listener belongs to a host: use --host");
    }
    if host.is_some() && kind != CredentialKind::Listener {
        bail!("--host is for a listener, but {} belongs to a person or service: use --name", kind.as_str());
    }
    if !tiers.is_empty() && !matches!(kind, CredentialKind::Listener | CredentialKind::Deployer) {
        bail!("--tier is only for a listener or deployer");
    }
    if kind == CredentialKind::Listener && tiers.len() > 1 {
        bail!("a host has one tier: give --tier once");
    }
    let name = host.or(name).map_or(kind.as_str(), Name::as_str);
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.nkey")));
    let seed = UserSeed::generate()?;
    seed.write_new(&file)?;
    Output::new().line(seed.public_key());
    let entry = entry(kind, name, tiers, seed.public_key());
    let has_tier = matches!(kind, CredentialKind::Listener | CredentialKind::Deployer);
    let example = if has_tier && tiers.is_empty() { "; without --tier, its tier is an example" } else { "" };
    note(&format!(
        "wrote the seed to {}; add this entry to the fleet file for `keys nats-config`{example}:\n\n{entry}",
        file.display()
    ));
    Ok(())
}

/// The entry for the fleet file, with example tiers if none were given.
fn entry(kind: CredentialKind, name: &str, tiers: &[Name], key: &str) -> String {
    let tiers: Vec<_> = tiers.iter().map(|tier| format!("{:?}", tier.as_str())).collect();
    match kind {
        CredentialKind::Listener => {
            let tier = tiers.first().cloned().unwrap_or_else(|| "\"prod\"".to_owned());
            format!("[hosts.{name}]\ntier = {tier}\npublic_key = \"{key}\"")
        }
        CredentialKind::Deployer => {
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
            "{}: all entries have expired; give one a later `expires`, because a server without users accepts everyone",
            file.display()
        );
    }
    for (entry, at) in expired {
        note(&format!("warning: left out {entry}, because it expired at {at}"));
    }
    Output::new().line(render_authorization_at(&users, now).trim_end());
    Ok(())
}

/// Prints a note to standard error, because standard output has only the result.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
