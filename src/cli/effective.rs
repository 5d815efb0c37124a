//! What is in force for an operator command, and what is made of it: settings, roster, operator.

use super::exit::Failed;
use super::targets;
use super::tls::readable;
use crate::bus::{Bus, Seed, Settings, Tls, shown_servers};
use crate::config::{Chosen, Config, Setting, Unproven};
use crate::deployer::{Alias, KnownHost, KnownHosts, Operator, Roster, SelectionError, Target};
use crate::keys::{FleetHost, host_keys};
use crate::nix::{Credentials, FlakeUrl};
use crate::protocol::{Name, Revision};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A subject every operator may subscribe to; nobody publishes there.
pub(super) const PING_SUBJECT: &str = "deploy.responses.ask.ping";

/// Flags and variables, else the chosen context, else the defaults.
#[derive(Debug)]
pub(super) struct Effective {
    /// The file as a whole.
    pub(super) config: Config,
    /// What the file says for the context; the five settings below stand above it.
    pub(super) chosen: Chosen,
    pub(super) nats_url: Option<Setting<String>>,
    pub(super) nkey_file: Option<Setting<PathBuf>>,
    pub(super) tls_ca: Option<Setting<PathBuf>>,
    pub(super) tls_cert: Option<Setting<PathBuf>>,
    pub(super) tls_key: Option<Setting<PathBuf>>,
    pub(super) fleet_name: Option<Setting<Name>>,
    pub(super) unproven: Option<Setting<Unproven>>,
    /// The connection, once it was made from these.
    pub(super) read: OnceCell<Settings>,
}

impl Effective {
    /// The same with another key.
    pub(super) fn with_key(self, file: Setting<PathBuf>) -> Self {
        Self { nkey_file: Some(file), read: OnceCell::new(), ..self }
    }

    /// The branch that is meant, where this one was given.
    pub(super) fn branch(&self, given: Option<Revision>) -> Revision {
        given.unwrap_or_else(|| self.chosen.branch.value.clone())
    }

    /// The tiers that are confirmed.
    pub(super) fn confirm_tiers(&self) -> &[Name] {
        &self.chosen.confirm_tiers.value
    }

    /// Reads targets, looking aliases up in the environment and then in the file.
    pub(super) fn targets(&self, texts: &[String]) -> Result<Vec<Target>, SelectionError> {
        texts.iter().map(|text| Target::parse(text, |name| self.alias(name))).collect()
    }

    fn alias(&self, name: &str) -> Option<Alias> {
        targets::of_environment(name).or_else(|| targets::of_file(&self.chosen, name))
    }

    /// Read once: the key may come from a pipe.
    fn settings(&self) -> Result<&Settings, Failed> {
        if self.read.get().is_none() {
            // Nobody else sets it meanwhile.
            let _ = self.read.set(self.read_settings()?);
        }
        self.read.get().ok_or_else(|| self.no_server())
    }

    fn read_settings(&self) -> Result<Settings, Failed> {
        let Some(url) = &self.nats_url else { return Err(self.no_server()) };
        let key = self.nkey_file.as_ref();
        let seed = key.map(|file| of_file(Seed::read_private(&file.value), file)).transpose()?;
        let settings = Settings::new(&url.value, seed, "homelab-deploy", PING_SUBJECT);
        let mut settings = of_file(settings, url)?;
        self.check_certificates()?;
        let path = |setting: &Option<Setting<PathBuf>>| setting.as_ref().map(|file| file.value.clone());
        settings.fleet = self.fleet_name.as_ref().map(|name| name.value.clone());
        settings.tls =
            Tls { ca: path(&self.tls_ca), identity: path(&self.tls_cert).zip(path(&self.tls_key)) };
        Ok(settings)
    }

    fn no_server(&self) -> Failed {
        let file = self.config.file.display();
        let contexts: Vec<_> = self.config.contexts().map(Name::as_str).collect();
        let in_file = match &self.chosen.context {
            Some(context) => format!("write nats_url into [contexts.{}] of {file}", context.value),
            None if contexts.is_empty() => format!("write nats_url into a [contexts.NAME] of {file}"),
            None => format!("choose a context of {file} with --context ({})", contexts.join(", ")),
        };
        Failed::usage(anyhow::anyhow!(
            "no NATS server is named: give --nats-url, set HOMELAB_DEPLOY_NATS_URL, or {in_file}"
        ))
    }

    fn check_certificates(&self) -> Result<(), Failed> {
        let files = [("tls-ca", &self.tls_ca), ("tls-cert", &self.tls_cert), ("tls-key", &self.tls_key)];
        for (flag, setting) in files {
            let Some(setting) = setting else { continue };
            let what = match setting.source.place() {
                Some(place) => format!("{place}: could not read {}", flag.replace('-', "_")),
                None => format!("could not read --{flag}"),
            };
            readable(&what, &setting.value)?;
        }
        Ok(())
    }

    /// Where the hosts of this context, or without one of these servers, are kept.
    pub(super) fn roster_file(&self) -> Result<PathBuf, Failed> {
        self.state_file("roster")
    }

    /// Where it is kept how the console is looked at in this context.
    pub(super) fn console_file(&self) -> Result<PathBuf, Failed> {
        self.state_file("console")
    }

    fn state_file(&self, what: &str) -> Result<PathBuf, Failed> {
        match &self.chosen.context {
            Some(context) => Ok(below_state(what, context.value.as_str())),
            None => Ok(below_state(what, &self.settings()?.shown())),
        }
    }

    /// The hosts that were seen before, and those that the file lists.
    pub(super) fn roster(&self) -> Result<Roster, Failed> {
        let mut roster = Roster::open(&self.roster_file()?)?;
        for (name, host) in &self.chosen.hosts {
            roster.expect(name, &host.value.tier, host.value.role.as_ref());
        }
        roster.allowed_flakes = self.allowed_flakes()?;
        Ok(roster)
    }

    /// What each host is held to: what the fleet file and the configuration say of it, else what the inventory knows.
    fn known_hosts(&self, roster: &Roster) -> Result<KnownHosts, Failed> {
        let mut known: BTreeMap<Name, KnownHost> = BTreeMap::new();
        if let Some(file) = &self.chosen.fleet {
            let hosts = of_file(host_keys(&file.value), file)?;
            known.extend(hosts.into_iter().map(|host| {
                let (keys, tier) = (host.keys, Some(host.tier));
                (host.name, KnownHost { keys, tier, is_configured: true, ..KnownHost::default() })
            }));
        }
        for (name, host) in &self.chosen.hosts {
            let of = known.entry(name.clone()).or_default();
            (of.tier, of.is_configured) = (Some(host.value.tier.clone()), true);
            if let Some(key) = &host.value.public_key {
                of.keys = vec![key.clone()];
            }
            of.subject.clone_from(&host.value.subject);
        }
        Ok(KnownHosts::new(known, self.chosen.fleet.is_some(), roster, self.allow_unproven()))
    }

    fn allow_unproven(&self) -> Option<bool> {
        self.unproven.as_ref().map(|setting| setting.value == Unproven::Allow)
    }

    /// The flakes that the file allows, as hosts tell theirs: without credentials.
    pub(super) fn allowed_flakes(&self) -> Result<BTreeSet<String>, Failed> {
        let Some(listed) = &self.chosen.allowed_flakes else { return Ok(BTreeSet::new()) };
        let read = |flake: &String| Ok(of_file(flake.parse::<FlakeUrl>(), listed)?.without_credentials());
        listed.value.iter().map(read).collect()
    }

    /// Connects, or fails at once.
    pub(super) async fn operator(&self) -> Result<Operator, Failed> {
        let (settings, operator) = (self.settings()?, self.parts()?);
        Ok(operator(Bus::once(settings).await?))
    }

    /// Connects, or fails at once; the hosts of a fleet are held to the keys that it names, whatever else names others.
    pub(super) async fn operator_of(&self, fleet: Vec<FleetHost>) -> Result<Operator, Failed> {
        let mut operator = self.operator().await?;
        // Not as what is configured: the inventory keeps their keys.
        let known = |host: FleetHost| {
            let (keys, tier) = (host.keys, Some(host.tier));
            (host.name, KnownHost { keys, tier, ..KnownHost::default() })
        };
        let known = fleet.into_iter().map(known).collect();
        operator.known = KnownHosts::new(known, true, &operator.roster, self.allow_unproven());
        Ok(operator)
    }

    /// Connects as soon as there is a server, and again whenever it comes back.
    pub(super) async fn lasting_operator(&self) -> Result<Operator, Failed> {
        let (settings, operator) = (self.settings()?, self.parts()?);
        Ok(operator(Bus::lasting(settings).await?))
    }

    /// All of an operator but the connection: what is wrong with it is said before anything is connected.
    fn parts(&self) -> Result<impl FnOnce(Bus) -> Operator, Failed> {
        let roster = self.roster()?;
        let (known, credentials) = (self.known_hosts(&roster)?, self.flake_credentials()?);
        Ok(|bus| Operator { known, credentials, ..Operator::new(bus, roster, issuer()) })
    }

    /// For the repositories that this machine asks for their heads.
    fn flake_credentials(&self) -> Result<Credentials, Failed> {
        let read =
            self.chosen.flake_credentials.as_ref().map(|file| of_file(Credentials::read(&file.value), file));
        Ok(read.transpose()?.unwrap_or_default())
    }

    /// The hosts that the broker runs on: those that the file names, else what the server's URL tells.
    pub(super) fn brokers(&self) -> Result<Vec<Name>, Failed> {
        if let Some(named) = &self.chosen.broker_hosts {
            return Ok(named.value.clone());
        }
        Ok(self.settings()?.machines().into_iter().filter_map(|machine| Name::new(machine).ok()).collect())
    }

    /// The servers where they are named, whether or not they can be used.
    pub(super) fn shown_servers(&self) -> Result<Option<String>, Failed> {
        let url = self.nats_url.as_ref();
        url.map(|url| of_file(shown_servers(&url.value), url)).transpose()
    }

    /// The servers, as a person reads them.
    pub(super) fn servers(&self) -> Result<String, Failed> {
        Ok(self.settings()?.shown())
    }
}

/// Names the place in the file, where what was wrong comes from there.
fn of_file<T, U, E>(result: Result<T, E>, setting: &Setting<U>) -> Result<T, Failed>
where
    E: std::error::Error + Send + Sync + 'static,
{
    result.map_err(|error| match setting.source.place() {
        Some(place) => Failed::usage(anyhow::Error::new(error).context(place.to_string())),
        None => Failed::usage(error),
    })
}

fn below_state(what: &str, name: &str) -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default().join(".local/state");
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    state.unwrap_or_else(home).join("homelab-deploy").join(what).join(format!("{name}.json"))
}

/// Who deploys, as hosts will show it.
pub(super) fn issuer() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let machine = rustix::system::uname();
    format!("{}@{}", user.as_deref().unwrap_or("unknown"), machine.nodename().to_string_lossy())
}
