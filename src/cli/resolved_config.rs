//! The effective configuration of an operator command, and what is built from it: settings, inventory, operator.

use super::connection::check_readable;
use super::exit::CommandError;
use super::selector::{alias_from_config, alias_from_env};
use crate::client::{
    Alias, CommitClones, Inventory, KnownHost, KnownHosts, Operator, SelectionError, Target,
};
use crate::config::{Config, SelectedConfig, Setting, Unproven};
use crate::git::Credentials;
use crate::keys::{FleetHost, FleetOperator, fleet_operators, read_fleet_file, read_host_keys};
use crate::nats::{Client, ConnectionSettings, Nkey, TlsFiles, display_servers};
use crate::nix::FlakeUrl;
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, Revision};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A subject that every operator may subscribe to and that is never published to.
pub(super) const PING_SUBJECT: &str = "deploy.responses.ask.ping";

/// How many servers without a context are remembered, however long they were not used, and how long others are.
const KEPT_SERVERS: usize = 20;
const UNUSED_SERVER_AFTER: Duration = Duration::from_hours(30 * 24);
/// What `://` becomes in a file name.
const SANITIZED_SCHEME_END: &str = "___";

/// Effective settings: flags and variables first, then the selected context, then defaults.
#[derive(Debug)]
pub(super) struct ResolvedConfig {
    /// The whole file.
    pub(super) config: Config,
    /// The selected context of the file. The settings below take precedence over it.
    pub(super) selected: SelectedConfig,
    pub(super) nats_url: Option<Setting<String>>,
    pub(super) nkey_file: Option<Setting<PathBuf>>,
    pub(super) tls_ca: Option<Setting<PathBuf>>,
    pub(super) tls_cert: Option<Setting<PathBuf>>,
    pub(super) tls_key: Option<Setting<PathBuf>>,
    pub(super) fleet_name: Option<Setting<Name>>,
    pub(super) unproven: Option<Setting<Unproven>>,
    /// Connection settings, built on first use.
    pub(super) nats_settings: OnceCell<ConnectionSettings>,
}

impl ResolvedConfig {
    /// The same configuration with another key.
    pub(super) fn with_key(self, file: Setting<PathBuf>) -> Self {
        Self { nkey_file: Some(file), nats_settings: OnceCell::new(), ..self }
    }

    /// The given branch, or else that of the context.
    pub(super) fn branch(&self, given: Option<Revision>) -> Revision {
        given.unwrap_or_else(|| self.selected.branch.value.clone())
    }

    /// Tiers that require confirmation.
    pub(super) fn confirm_tiers(&self) -> &[Name] {
        &self.selected.confirm_tiers.value
    }

    /// Parses targets. Aliases are looked up in the environment first, then in the file.
    pub(super) fn targets(&self, texts: &[String]) -> Result<Vec<Target>, SelectionError> {
        texts.iter().map(|text| Target::parse(text, |name| self.alias(name))).collect()
    }

    fn alias(&self, name: &str) -> Option<Alias> {
        alias_from_env(name).or_else(|| alias_from_config(&self.selected, name))
    }

    /// Connection settings. The key file is read once, because it may be a pipe.
    fn settings(&self) -> Result<&ConnectionSettings, CommandError> {
        if self.nats_settings.get().is_none() {
            // Cannot fail, because the cell was empty and this type is not shared between threads.
            let _ = self.nats_settings.set(self.read_settings()?);
        }
        self.nats_settings.get().ok_or_else(|| self.no_server())
    }

    fn read_settings(&self) -> Result<ConnectionSettings, CommandError> {
        let Some(url) = &self.nats_url else { return Err(self.no_server()) };
        let key = self.nkey_file.as_ref();
        let seed = key.map(|file| with_location(Nkey::read_private(&file.value), file)).transpose()?;
        let settings = ConnectionSettings::new(&url.value, seed, "homelab-deploy", PING_SUBJECT);
        let mut settings = with_location(settings, url)?;
        self.check_certificates()?;
        settings.fleet = self.fleet_name.as_ref().map(|name| name.value.clone());
        settings.tls = tls_files([&self.tls_ca, &self.tls_cert, &self.tls_key].map(Option::as_ref));
        Ok(settings)
    }

    fn no_server(&self) -> CommandError {
        let file = self.config.file.display();
        let contexts: Vec<_> = self.config.contexts().map(Name::as_str).collect();
        let in_file = match &self.selected.context {
            Some(context) => format!("set nats_url in [contexts.{}] of {file}", context.value),
            None if contexts.is_empty() => format!("set nats_url in a [contexts.NAME] of {file}"),
            None => format!("select a context of {file} with --context ({})", contexts.join(", ")),
        };
        CommandError::usage(anyhow::anyhow!(
            "no NATS server configured: give --nats-url, set HOMELAB_DEPLOY_NATS_URL, or {in_file}"
        ))
    }

    fn check_certificates(&self) -> Result<(), CommandError> {
        let files = [("tls-ca", &self.tls_ca), ("tls-cert", &self.tls_cert), ("tls-key", &self.tls_key)];
        for (flag, setting) in files {
            let Some(setting) = setting else { continue };
            let what = match setting.source.location() {
                Some(place) => format!("{place}: could not read {}", flag.replace('-', "_")),
                None => format!("could not read --{flag}"),
            };
            check_readable(&what, &setting.value)?;
        }
        Ok(())
    }

    /// Path of the inventory of this context, or of these servers if there is no context.
    fn inventory_file(&self) -> Result<PathBuf, CommandError> {
        self.state_file("inventory")
    }

    /// Path of the console's view state for this context.
    pub(super) fn view_state_file(&self) -> Result<PathBuf, CommandError> {
        self.state_file("console")
    }

    /// Path of the console's event feed for this context.
    pub(super) fn feed_file(&self) -> Result<PathBuf, CommandError> {
        self.state_file("events")
    }

    /// Directory with the states of the rollouts of this context.
    pub(super) fn rollout_directory(&self) -> Result<PathBuf, CommandError> {
        Ok(self.state_file("rollout-states")?.with_extension(""))
    }

    fn state_file(&self, what: &str) -> Result<PathBuf, CommandError> {
        match &self.selected.context {
            Some(context) => Ok(state_path(what, context.value.as_str())),
            None => Ok(state_path(what, &self.display_servers()?.ok_or_else(|| self.no_server())?)),
        }
    }

    /// The inventory: hosts seen before and hosts that the file lists.
    pub(super) fn inventory(&self) -> Result<Inventory, CommandError> {
        let mut inventory = Inventory::open(&self.inventory_file()?)?;
        for (name, host) in &self.selected.hosts {
            inventory.add_expected(name, &host.value.tier, host.value.role.as_ref());
        }
        inventory.allowed_flakes = self.allowed_flakes()?;
        Ok(inventory)
    }

    /// The expected key, tier and subject of each host: from the fleet file and configuration, otherwise from the
    /// inventory.
    fn known_hosts(&self, inventory: &Inventory) -> Result<KnownHosts, CommandError> {
        let mut known: BTreeMap<Name, KnownHost> = BTreeMap::new();
        if let Some(file) = &self.selected.fleet {
            let hosts = with_location(read_host_keys(&file.value), file)?;
            known.extend(hosts.into_iter().map(KnownHost::of_fleet_file));
        }
        for (name, host) in &self.selected.hosts {
            let of = known.entry(name.clone()).or_default();
            (of.tier, of.is_configured) = (Some(host.value.tier.clone()), true);
            if let Some(key) = &host.value.public_key {
                of.keys = vec![key.clone()];
            }
            of.subject.clone_from(&host.value.subject);
        }
        Ok(KnownHosts::new(known, self.selected.fleet.is_some(), inventory, self.allow_unproven()))
    }

    fn allow_unproven(&self) -> Option<bool> {
        self.unproven.as_ref().map(|setting| setting.value == Unproven::Allow)
    }

    /// The allowed flakes of the file, without credentials, as hosts report theirs.
    pub(super) fn allowed_flakes(&self) -> Result<BTreeSet<String>, CommandError> {
        let Some(listed) = &self.selected.allowed_flakes else { return Ok(BTreeSet::new()) };
        let mut flakes = BTreeSet::new();
        for flake in &listed.value {
            flakes.insert(with_location(flake.parse::<FlakeUrl>(), listed)?.without_credentials());
        }
        Ok(flakes)
    }

    /// Connects. Fails if no server can be reached.
    pub(super) async fn operator(&self) -> Result<Operator, CommandError> {
        let (settings, operator) = (self.settings()?, self.prepare_operator()?);
        Ok(operator(Client::connect(settings).await?))
    }

    /// Connects like `operator`, but expects the keys of this fleet, even if the configuration names others.
    pub(super) async fn operator_with_fleet(&self, fleet: Vec<FleetHost>) -> Result<Operator, CommandError> {
        let mut operator = self.operator().await?;
        // Not marked as configured, so that the inventory keeps their keys.
        let known = |host: FleetHost| {
            let (keys, tier) = (host.keys, Some(host.tier));
            (host.name, KnownHost { keys, tier, ..KnownHost::default() })
        };
        let known = fleet.into_iter().map(known).collect_map();
        operator.known = KnownHosts::new(known, true, &operator.inventory, self.allow_unproven());
        Ok(operator)
    }

    /// Connects in the background and reconnects whenever the connection is lost.
    pub(super) async fn persistent_operator(&self) -> Result<Operator, CommandError> {
        let (settings, operator) = (self.settings()?, self.prepare_operator()?);
        Ok(operator(Client::connect_persistent(settings).await?))
    }

    /// Prepares an operator without the connection, so that its errors are reported before connecting.
    fn prepare_operator(&self) -> Result<impl FnOnce(Client) -> Operator, CommandError> {
        let inventory = self.inventory()?;
        remove_unused_state(&self.config);
        let (known, credentials) = (self.known_hosts(&inventory)?, self.flake_credentials()?);
        let operators = self.operators()?;
        let (clones, rollouts) = (commit_clones(), Some(self.rollout_directory()?));
        Ok(|nats| Operator {
            known,
            credentials,
            clones,
            rollouts,
            operators,
            ..Operator::new(nats, inventory, issuer())
        })
    }

    /// The operators of the fleet file who may change hosts.
    fn operators(&self) -> Result<Vec<FleetOperator>, CommandError> {
        let Some(file) = &self.selected.fleet else { return Ok(Vec::new()) };
        Ok(fleet_operators(&with_location(read_fleet_file(&file.value), file)?.1))
    }

    /// Credentials for repositories whose heads this machine looks up.
    fn flake_credentials(&self) -> Result<Credentials, CommandError> {
        let read = self
            .selected
            .flake_credentials
            .as_ref()
            .map(|file| with_location(Credentials::read(&file.value), file));
        Ok(read.transpose()?.unwrap_or_default())
    }

    /// The hosts that run the NATS server: `nats_hosts` of the file, otherwise the host names in the server URL.
    pub(super) fn nats_hosts(&self) -> Result<Vec<Name>, CommandError> {
        if let Some(named) = &self.selected.nats_hosts {
            return Ok(named.value.clone());
        }
        Ok(self
            .settings()?
            .server_hostnames()
            .into_iter()
            .filter_map(|machine| Name::new(machine).ok())
            .collect())
    }

    /// The configured servers without credentials, even if the settings are otherwise incomplete.
    pub(super) fn display_servers(&self) -> Result<Option<String>, CommandError> {
        let url = self.nats_url.as_ref();
        url.map(|url| with_location(display_servers(&url.value), url)).transpose()
    }

    /// The servers without credentials.
    pub(super) fn servers(&self) -> Result<String, CommandError> {
        Ok(self.settings()?.display_servers())
    }
}

/// The files of the settings `tls_ca`, `tls_cert` and `tls_key`.
pub(super) fn tls_files(files: [Option<&Setting<PathBuf>>; 3]) -> TlsFiles {
    let [ca, certificate, key] = files.map(|setting| setting.map(|file| file.value.clone()));
    TlsFiles { ca, identity: certificate.zip(key) }
}

/// Prefixes an error with the location of the setting, if it comes from the file.
fn with_location<T, U, E>(result: Result<T, E>, setting: &Setting<U>) -> Result<T, CommandError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    result.map_err(|error| match setting.source.location() {
        Some(place) => CommandError::usage(anyhow::Error::new(error).context(place.to_string())),
        None => CommandError::usage(error),
    })
}

/// The path of a file in the state directory.
pub(super) fn state_path(what: &str, name: &str) -> PathBuf {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    state_directory(what).join(format!("{name}.json"))
}

/// A directory in the state directory.
pub(super) fn state_directory(what: &str) -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".local/state");
    state.unwrap_or_else(home).join("homelab-deploy").join(what)
}

/// Removes what was kept for servers without a context and has not been used for a long time, because each URL has its own
/// files. What cannot be removed stays.
fn remove_unused_state(config: &Config) {
    let is_context = |file: &Path| {
        let stem = file.file_stem().map(OsStr::to_string_lossy).unwrap_or_default();
        !stem.contains(SANITIZED_SCHEME_END) || config.contexts().any(|context| context.as_str() == stem)
    };
    for what in ["inventory", "console", "events"] {
        let files = std::fs::read_dir(state_directory(what)).into_iter().flatten().flatten();
        let of_server = files.filter(|file| !is_context(&file.path()));
        let mut files: Vec<_> = of_server
            .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())))
            .collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let is_unused = |used: &SystemTime| used.elapsed().is_ok_and(|unused| unused > UNUSED_SERVER_AFTER);
        for (_, file) in files.iter().skip(KEPT_SERVERS).filter(|(used, _)| is_unused(used)) {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The clones of repositories, in the cache directory of the user, if there is one.
fn commit_clones() -> Option<CommitClones> {
    let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")))?;
    Some(CommitClones::new(cache.join("homelab-deploy/commits")))
}

/// The issuer of requests, as `user@machine`.
pub(super) fn issuer() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = rustix::system::uname();
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), machine.nodename().to_string_lossy())
}
