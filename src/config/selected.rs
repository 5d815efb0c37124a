//! The settings of the selected context, merged with the settings for all contexts and the defaults.

use super::section::Section;
use super::{Config, ConfigError, ExpectedHost, FileAlias, Setting, Unproven};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The branch, if none is set.
const DEFAULT_BRANCH: &str = "master";
/// The tier that needs a confirmation prompt, if `confirm_tiers` is not set.
const DEFAULT_CONFIRM_TIER: &str = "prod";
/// The command that opens a shell on a host, if none is set.
pub const DEFAULT_SHELL: &str = "ssh {host}";

/// The settings in force, before flags and environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedConfig {
    /// The context and what selected it; `None` if there is no context to select.
    pub context: Option<Setting<Name>>,
    /// The URL of the NATS server.
    pub nats_url: Option<Setting<String>>,
    /// The file with the operator's seed.
    pub nkey_file: Option<Setting<PathBuf>>,
    /// An additional certificate authority to trust.
    pub tls_ca: Option<Setting<PathBuf>>,
    /// The client certificate; never set without its key.
    pub tls_cert: Option<Setting<PathBuf>>,
    /// The key of the client certificate.
    pub tls_key: Option<Setting<PathBuf>>,
    /// The fleet file, which lists the public key of each host.
    pub fleet: Option<Setting<PathBuf>>,
    /// The fleet's name, which is part of all signed data.
    pub fleet_name: Option<Setting<Name>>,
    /// How to treat hosts that are not proven. If not set, they are refused once a key is known.
    pub unproven: Option<Setting<Unproven>>,
    /// The file with credentials for the repositories whose heads are looked up.
    pub flake_credentials: Option<Setting<PathBuf>>,
    /// The branch to deploy, if the command names no revision.
    pub branch: Setting<Revision>,
    /// The tiers whose deployments the operator must confirm at a prompt.
    pub confirm_tiers: Setting<Vec<Name>>,
    /// The hosts that the NATS server runs on. If not set, they are derived from its URL if possible.
    pub nats_hosts: Option<Setting<Vec<Name>>>,
    /// The flakes whose heads may be looked up. If not set, only the flakes that hosts were first seen with.
    pub allowed_flakes: Option<Setting<Vec<String>>>,
    /// The hosts that are expected to exist.
    pub hosts: BTreeMap<Name, Setting<ExpectedHost>>,
    /// Aliases for targets, by [`alias_key`](super::alias_key).
    pub aliases: BTreeMap<String, Setting<FileAlias>>,
    /// The command that opens a shell in the console; `{host}` is replaced with the host name.
    pub shell: Setting<String>,
    /// Whether the console captures the mouse.
    pub mouse: Setting<bool>,
    /// Whether the console sets the title of the terminal.
    pub title: Setting<bool>,
    /// Whether the console reports its progress to the terminal.
    pub progress: Setting<bool>,
    /// Whether the console sends notifications through the terminal.
    pub notify: Setting<bool>,
    /// Whether the console rings the bell.
    pub bell: Setting<bool>,
}

impl SelectedConfig {
    /// Merges the sections of a file; [`Config::select`] says which context is selected.
    pub(super) fn new(config: &Config, requested: Option<Setting<Name>>) -> Result<Self, ConfigError> {
        let context = requested.or_else(|| config.context.clone()).or_else(|| config.sole_context());
        let none = Section::default();
        let section = match &context {
            Some(context) => {
                config.contexts.get(&context.value).ok_or_else(|| config.no_such_context(context))?
            }
            None => &none,
        };
        let mut aliases = config.global.aliases.clone();
        aliases.extend(section.aliases.clone());
        let branch = section.branch.clone().or_else(|| config.global.branch.clone());
        let confirm_tiers = section.confirm_tiers.clone().or_else(|| config.global.confirm_tiers.clone());
        let shell = || Setting::from_default(DEFAULT_SHELL.to_owned());
        let on =
            |setting: &Option<Setting<bool>>| setting.clone().unwrap_or_else(|| Setting::from_default(true));
        Ok(Self {
            nats_url: section.nats_url.clone(),
            nkey_file: section.nkey_file.clone(),
            tls_ca: section.tls_ca.clone(),
            tls_cert: section.tls_cert.clone(),
            tls_key: section.tls_key.clone(),
            fleet: section.fleet.clone(),
            fleet_name: section.fleet_name.clone(),
            unproven: section.unproven.clone(),
            flake_credentials: section.flake_credentials.clone(),
            branch: branch.unwrap_or_else(|| Setting::from_default(default_branch())),
            confirm_tiers: confirm_tiers.unwrap_or_else(|| Setting::from_default(default_confirm_tiers())),
            nats_hosts: section.nats_hosts.clone(),
            allowed_flakes: section.allowed_flakes.clone(),
            hosts: section.hosts.clone(),
            aliases,
            shell: config.console.shell.clone().unwrap_or_else(shell),
            mouse: on(&config.console.mouse),
            title: on(&config.console.title),
            progress: on(&config.console.progress),
            notify: on(&config.console.notify),
            bell: on(&config.console.bell),
            context,
        })
    }
}

fn default_branch() -> Revision {
    Revision::new(DEFAULT_BRANCH).unwrap_or_else(|_| unreachable!("the default branch is a valid revision"))
}

/// The tiers that need a confirmation prompt by default.
pub fn default_confirm_tiers() -> Vec<Name> {
    vec![Name::new(DEFAULT_CONFIRM_TIER).unwrap_or_else(|_| unreachable!("the default tier is a valid name"))]
}
