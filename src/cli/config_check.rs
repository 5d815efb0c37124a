//! `config check`: validate the file and what it refers to: key files, certificates, URLs and aliases.

use super::block_on;
use super::exit::{CommandError, Exit};
use super::output::Output;
use super::resolved_config::{PING_SUBJECT, tls_files};
use super::selector::alias_from_config;
use super::tui::console_config;
use crate::client::Target;
use crate::config::{Config, ConfigError, SelectedConfig, Setting, SettingSource};
use crate::git::Credentials;
use crate::nats::{Client, ConnectionSettings, ConnectionSettingsError, Nkey, TlsFiles};
use crate::nix::FlakeUrl;
use crate::protocol::Name;
use crate::text::format;
use clap::Args;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Subscriptions that a server must allow, from docs/nats.md. Following a deployment needs fewer.
const SUBSCRIPTIONS: usize = 16;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Check this file instead, but not the keys and certificates that it names
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also connect to the NATS servers of each context and check permissions
    #[arg(long, conflicts_with = "file")]
    connect: bool,
}

/// Prints findings and counts problems.
struct CheckReport {
    out: Output,
    /// Whether to connect to the servers.
    connects: bool,
    problems: usize,
    /// Whether to check the key and certificate files. False for a file that may belong to another machine.
    checks_files: bool,
}

impl CheckArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let variable = |name: &str| std::env::var_os(name);
        match self.file {
            None => check(Config::load(variable), true, self.connect),
            Some(file) => match Config::load_file(&file, variable) {
                Err(ConfigError::Read { path, source }) => Err(CommandError::usage(anyhow::anyhow!(
                    "could not read --file {}: {source}",
                    path.display()
                ))),
                config => check(config, false, false),
            },
        }
    }
}

fn check(
    config: Result<Config, ConfigError>,
    checks_files: bool,
    connects: bool,
) -> Result<Exit, CommandError> {
    let mut report = CheckReport { out: Output::new(), connects, problems: 0, checks_files };
    // Other commands do not use these settings, so they do not fail if one is invalid.
    let config = config.and_then(|config| console_config(&config).map(|_| config));
    match config {
        Ok(config) if !config.found => {
            report.out.line(&format!("{} does not exist: nothing to check", config.file.display()));
        }
        Ok(config) => report.config(&config),
        Err(ConfigError::Invalid(file)) => file.lines().for_each(|line| report.problem(&line)),
        Err(other) => return Err(other.into()),
    }
    match report.problems {
        0 => Ok(Exit::Success),
        count => Err(CommandError::usage(anyhow::anyhow!("found {}", format::count(count, "problem")))),
    }
}

impl CheckReport {
    fn ok(&mut self, text: &str) {
        self.out.line(&format!("ok: {text}"));
    }

    fn note(&mut self, text: &str) {
        self.out.line(&format!("note: {text}"));
    }

    fn problem(&mut self, text: &str) {
        self.problems += 1;
        self.out.line(&format!("problem: {text}"));
    }

    /// Prints the result of one check, with its location in the file if it failed.
    fn report<T, E: std::fmt::Display>(&mut self, source: &SettingSource, result: Result<T, E>, ok: &str) {
        match (result, source.location()) {
            (Ok(_), _) => self.ok(ok),
            (Err(error), Some(place)) => self.problem(&format!("{place}: {error}")),
            (Err(error), None) => self.problem(&error.to_string()),
        }
    }

    fn config(&mut self, config: &Config) {
        self.ok(&format!("{} is valid", config.file.display()));
        if let Err(error) = config.select(None) {
            let place = config.default_context().and_then(|context| context.source.location());
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            self.problem(&format!("{place}{error}"));
        }
        let contexts: Vec<_> = config.contexts().cloned().collect();
        for name in &contexts {
            let context = Setting { value: name.clone(), source: SettingSource::Default };
            if let Ok(selected) = config.select(Some(context)) {
                self.connection(name, &selected);
                self.aliases(&format!("{name}: "), &selected);
            }
        }
        if contexts.is_empty() {
            self.note("no contexts defined");
            if let Ok(selected) = config.select(None) {
                self.aliases("", &selected);
            }
        }
    }

    fn connection(&mut self, name: &Name, selected: &SelectedConfig) {
        let mut seed = None;
        if let Some(file) = selected.nkey_file.as_ref().filter(|_| self.checks_files) {
            let read = Nkey::read_private(&file.value);
            let key = read.as_ref().map(|seed| seed.public_key().to_owned()).unwrap_or_default();
            let ok = format!("{name}: nkey_file {} is private and contains {key}", file.value.display());
            seed = read.as_ref().ok().cloned();
            self.report(&file.source, read, &ok);
        }
        match &selected.nats_url {
            None => self.note(&format!("{name}: no nats_url: each command must set --nats-url")),
            Some(url) => match ConnectionSettings::new(&url.value, seed, "homelab-deploy", PING_SUBJECT) {
                Ok(mut settings) if self.connects => {
                    let files = [&selected.tls_ca, &selected.tls_cert, &selected.tls_key];
                    settings.tls = tls_files(files.map(Option::as_ref));
                    self.server(name, &settings);
                }
                Ok(settings) => self.ok(&format!("{name}: nats_url {} is valid", settings.display_servers())),
                // An unreadable file was reported above.
                Err(ConnectionSettingsError::NoKey(_)) if selected.nkey_file.is_some() => {}
                Err(ConnectionSettingsError::NoKey(server)) => self.note(&format!(
                    "{name}: no nkey_file: each command must set --nkey-file, because {server} is not on this machine"
                )),
                Err(error) => self.report::<(), _>(&url.source, Err(error), ""),
            },
        }
        if self.checks_files {
            self.files(name, selected);
        }
        if let Some(flakes) = &selected.allowed_flakes {
            for flake in &flakes.value {
                let read = flake.parse::<FlakeUrl>();
                let shown = read.as_ref().map(FlakeUrl::without_credentials).unwrap_or_default();
                self.report(&flakes.source, read, &format!("{name}: allowed flake {shown} is valid"));
            }
        }
        if !selected.hosts.is_empty() {
            let hosts: Vec<_> = selected.hosts.keys().map(Name::as_str).collect();
            self.ok(&format!("{name}: expected hosts: {}", hosts.join(", ")));
        }
    }

    /// Checks certificates and flake credentials.
    fn files(&mut self, name: &Name, selected: &SelectedConfig) {
        let [ca, certificate, key] =
            [&selected.tls_ca, &selected.tls_cert, &selected.tls_key].map(Option::as_ref);
        let alone =
            |ca: &Setting<PathBuf>| TlsFiles { ca: Some(ca.value.clone()), identity: None }.file_error();
        self.readable(name, "tls_ca", ca, alone);
        self.readable(name, "tls_cert", certificate, |_| None);
        let both = |key: &Setting<PathBuf>| {
            let identity = certificate.map(|certificate| (certificate.value.clone(), key.value.clone()));
            TlsFiles { ca: None, identity }.file_error()
        };
        self.readable(name, "tls_key", key, both);
        if let Some(file) = &selected.flake_credentials {
            let ok = format!("{name}: flake_credentials {} is valid", file.value.display());
            self.report(&file.source, Credentials::read(&file.value), &ok);
        }
    }

    /// Connects to the servers and checks their limits.
    fn server(&mut self, name: &Name, settings: &ConnectionSettings) {
        let connected = block_on(async {
            let nats = Client::connect(settings).await?;
            let mut subscriptions = Vec::new();
            for count in 0..SUBSCRIPTIONS {
                let subject = format!("deploy.responses.check-{count}");
                subscriptions.push(nats.subscribe(&subject, |_, _| ()).await);
            }
            let ping = nats.ping(PING_TIMEOUT).await;
            // The ping was answered after the subscriptions, so any refusal has already arrived.
            let refusal = nats.connection_state().borrow().reason.clone();
            Ok((ping, nats.limit_warning().or(refusal)))
        });
        match connected {
            Err(failed) => self.problem(&format!("{name}: {}", failed.error)),
            Ok((Err(error), _)) => self.problem(&format!("{name}: {}: {error}", settings.display_servers())),
            Ok((Ok(_), Some(shortage))) => {
                self.problem(&format!("{name}: {}: {shortage}", settings.display_servers()));
            }
            Ok((Ok(_), None)) => self.ok(&format!("{name}: connected to {}", settings.display_servers())),
        }
    }

    /// Checks that a file can be read and that `fault` finds nothing wrong in it.
    fn readable<F>(&mut self, name: &Name, key: &str, file: Option<&Setting<PathBuf>>, fault: F)
    where
        F: Fn(&Setting<PathBuf>) -> Option<String>,
    {
        let Some(file) = file else { return };
        let path = file.value.display();
        let opened = File::open(&file.value).map_err(|error| format!("could not read {key} {path}: {error}"));
        let checked = opened.and_then(|_| fault(file).map_or(Ok(()), Err));
        self.report(&file.source, checked, &format!("{name}: {key} {path} is valid"));
    }

    fn aliases(&mut self, name: &str, selected: &SelectedConfig) {
        for alias in selected.aliases.values() {
            let target = Target::parse(&alias.value.name, |text| alias_from_config(selected, text));
            let ok = match &target {
                Ok(Target::Subject(subject)) => format!("the subject {subject}"),
                Ok(Target::Host(host) | Target::Alias(host)) => format!("the host {host}"),
                Err(_) => String::new(),
            };
            let ok = format!("{name}alias {} means {ok}", alias.value.name);
            self.report(&alias.source, target, &ok);
        }
    }
}
