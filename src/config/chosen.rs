//! What the file says for the context that is chosen, laid over what it says for all, laid over the defaults.

use super::section::Section;
use super::{Config, ConfigError, ExpectedHost, FileAlias, Setting, Source, Unproven};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The branch where nobody names one.
const DEFAULT_BRANCH: &str = "master";
/// The tier that is confirmed where nobody names any.
const DEFAULT_CONFIRMED: &str = "prod";
/// How a shell on a host is opened where nobody says it.
pub const DEFAULT_SHELL: &str = "ssh {host}";

/// What is in force as far as the file has a say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The context, and who chose it; none where there is none to choose.
    pub context: Option<Setting<Name>>,
    /// The server.
    pub nats_url: Option<Setting<String>>,
    /// The file with our seed.
    pub nkey_file: Option<Setting<PathBuf>>,
    /// A further authority to trust.
    pub tls_ca: Option<Setting<PathBuf>>,
    /// Our certificate; never without its key.
    pub tls_cert: Option<Setting<PathBuf>>,
    /// The key of our certificate.
    pub tls_key: Option<Setting<PathBuf>>,
    /// The fleet file, which names the public key of each host.
    pub fleet: Option<Setting<PathBuf>>,
    /// The fleet's name, which is part of everything that is signed.
    pub fleet_name: Option<Setting<Name>>,
    /// What is done with hosts that are not proven; if not set, they are refused once a key is known.
    pub unproven: Option<Setting<Unproven>>,
    /// The file with the passwords for the repositories whose heads are looked up.
    pub flake_credentials: Option<Setting<PathBuf>>,
    /// What is deployed where nothing else is named.
    pub branch: Setting<Revision>,
    /// The tiers that are confirmed before anything is done there.
    pub confirm_tiers: Setting<Vec<Name>>,
    /// The hosts that the broker runs on; where nothing is said, its URL may tell.
    pub broker_hosts: Option<Setting<Vec<Name>>>,
    /// The flakes that heads are looked up in; without, those that hosts were known with.
    pub allowed_flakes: Option<Setting<Vec<String>>>,
    /// The hosts that are expected.
    pub hosts: BTreeMap<Name, Setting<ExpectedHost>>,
    /// Names for targets, by [`alias_key`](super::alias_key).
    pub aliases: BTreeMap<String, Setting<FileAlias>>,
    /// How the console opens a shell; `{host}` stands for the host.
    pub shell: Setting<String>,
    /// Whether the console takes the mouse.
    pub mouse: Setting<bool>,
}

impl Config {
    /// Chooses a context: the wanted one, else the one that the file names, else the only one there is.
    pub fn choose(&self, wanted: Option<Setting<Name>>) -> Result<Chosen, ConfigError> {
        let context = wanted.or_else(|| self.context.clone()).or_else(|| self.only_one());
        let none = Section::default();
        let section = match &context {
            Some(context) => self.contexts.get(&context.value).ok_or_else(|| self.no_such(context))?,
            None => &none,
        };
        let mut aliases = self.top.aliases.clone();
        aliases.extend(section.aliases.clone());
        let branch = section.branch.clone().or_else(|| self.top.branch.clone());
        let confirm_tiers = section.confirm_tiers.clone().or_else(|| self.top.confirm_tiers.clone());
        let shell = || Setting::default_of(DEFAULT_SHELL.to_owned());
        Ok(Chosen {
            nats_url: section.nats_url.clone(),
            nkey_file: section.nkey_file.clone(),
            tls_ca: section.tls_ca.clone(),
            tls_cert: section.tls_cert.clone(),
            tls_key: section.tls_key.clone(),
            fleet: section.fleet.clone(),
            fleet_name: section.fleet_name.clone(),
            unproven: section.unproven.clone(),
            flake_credentials: section.flake_credentials.clone(),
            branch: branch.unwrap_or_else(|| Setting::default_of(default_branch())),
            confirm_tiers: confirm_tiers.unwrap_or_else(|| Setting::default_of(default_confirm_tiers())),
            broker_hosts: section.broker_hosts.clone(),
            allowed_flakes: section.allowed_flakes.clone(),
            hosts: section.hosts.clone(),
            aliases,
            shell: self.console.shell.clone().unwrap_or_else(shell),
            mouse: self.console.mouse.clone().unwrap_or_else(|| Setting::default_of(true)),
            context,
        })
    }

    fn only_one(&self) -> Option<Setting<Name>> {
        let mut contexts = self.contexts.iter();
        let (name, section) = contexts.next()?;
        let place = section.place.clone().filter(|_| contexts.next().is_none())?;
        Some(Setting { value: name.clone(), source: Source::File(place) })
    }

    fn no_such(&self, context: &Setting<Name>) -> ConfigError {
        ConfigError::NoSuchContext {
            who: context.source.to_string(),
            name: context.value.clone(),
            path: self.file.to_path_buf(),
            known: self.found.then(|| self.contexts.keys().cloned().collect()),
        }
    }
}

fn default_branch() -> Revision {
    Revision::new(DEFAULT_BRANCH).unwrap_or_else(|_| unreachable!("it is a revision"))
}

/// The tiers that are confirmed where nobody names any.
pub fn default_confirm_tiers() -> Vec<Name> {
    vec![Name::new(DEFAULT_CONFIRMED).unwrap_or_else(|_| unreachable!("it is a name"))]
}
