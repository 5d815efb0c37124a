//! `config check`: reads the file, and tries what it names: key files, certificates, URLs, aliases.

use super::super::block_on;
use super::super::effective::PING_SUBJECT;
use super::super::exit::{Exit, Failed};
use super::super::out::Out;
use super::super::targets;
use crate::bus::{Bus, Seed, Settings, SettingsError, Tls};
use crate::config::{Chosen, Config, ConfigError, Setting, Source};
use crate::deployer::Target;
use crate::nix::{Credentials, FlakeUrl};
use crate::protocol::Name;
use clap::Args;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What docs/nats.md asks of a server: more than an operator who follows a deployment makes.
const SUBSCRIPTIONS: usize = 16;

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// Check this file instead, and no key or certificate that it names: it may be for another machine
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also connect to the server of each context, and check what it allows
    #[arg(long, conflicts_with = "file")]
    connect: bool,
}

/// What is said of the file, and how often it was bad.
struct Findings {
    out: Out,
    /// Whether the servers are tried too.
    connects: bool,
    problems: usize,
    /// Whether the files that it names are here.
    in_place: bool,
}

impl CheckArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        let variable = |name: &str| std::env::var_os(name);
        match self.file {
            None => check(Config::load(variable), true, self.connect),
            Some(file) => match Config::load_file(&file, variable) {
                Err(ConfigError::Read { path, source }) => {
                    Err(Failed::usage(anyhow::anyhow!("could not read --file {}: {source}", path.display())))
                }
                config => check(config, false, false),
            },
        }
    }
}

fn check(config: Result<Config, ConfigError>, in_place: bool, connects: bool) -> Result<Exit, Failed> {
    let mut findings = Findings { out: Out::new(), connects, problems: 0, in_place };
    match config {
        Ok(config) if !config.found => {
            findings.out.line(&format!("there is no file {}: nothing to check", config.file.display()));
        }
        Ok(config) => findings.config(&config),
        Err(ConfigError::Wrong { path, problems }) => {
            for problem in &problems {
                findings.problem(&format!("{}:{problem}", path.display()));
            }
        }
        Err(other) => return Err(other.into()),
    }
    match findings.problems {
        0 => Ok(Exit::Done),
        1 => Err(Failed::usage(anyhow::anyhow!("1 problem was found"))),
        count => Err(Failed::usage(anyhow::anyhow!("{count} problems were found"))),
    }
}

impl Findings {
    fn fine(&mut self, text: &str) {
        self.out.line(&format!("fine: {text}"));
    }

    fn note(&mut self, text: &str) {
        self.out.line(&format!("note: {text}"));
    }

    fn problem(&mut self, text: &str) {
        self.problems += 1;
        self.out.line(&format!("problem: {text}"));
    }

    /// Tells what came of something that stands in the file.
    fn tell<T, E: std::fmt::Display>(&mut self, source: &Source, result: Result<T, E>, fine: &str) {
        match (result, source.place()) {
            (Ok(_), _) => self.fine(fine),
            (Err(error), Some(place)) => self.problem(&format!("{place}: {error}")),
            (Err(error), None) => self.problem(&error.to_string()),
        }
    }

    fn config(&mut self, config: &Config) {
        self.fine(&format!("{} can be read", config.file.display()));
        if let Err(error) = config.choose(None) {
            let place = config.default_context().and_then(|context| context.source.place());
            let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
            self.problem(&format!("{place}{error}"));
        }
        let contexts: Vec<_> = config.contexts().cloned().collect();
        for name in &contexts {
            let wanted = Setting { value: name.clone(), source: Source::Default };
            if let Ok(chosen) = config.choose(Some(wanted)) {
                self.connection(name, &chosen);
                self.aliases(&format!("{name}: "), &chosen);
            }
        }
        if contexts.is_empty() {
            self.note("it has no contexts");
            if let Ok(chosen) = config.choose(None) {
                self.aliases("", &chosen);
            }
        }
    }

    fn connection(&mut self, name: &Name, chosen: &Chosen) {
        let mut seed = None;
        if let Some(file) = chosen.nkey_file.as_ref().filter(|_| self.in_place) {
            let read = Seed::read_private(&file.value);
            let key = read.as_ref().map(|seed| seed.public_key().to_owned()).unwrap_or_default();
            let fine = format!("{name}: nkey_file {} is private and holds {key}", file.value.display());
            seed = read.as_ref().ok().cloned();
            self.tell(&file.source, read, &fine);
        }
        match &chosen.nats_url {
            None => self.note(&format!("{name}: it has no nats_url; it must be given with each command")),
            Some(url) => match Settings::new(&url.value, seed, "homelab-deploy", PING_SUBJECT) {
                Ok(mut settings) if self.connects => {
                    settings.tls = tls_of(chosen);
                    self.server(name, &settings);
                }
                Ok(settings) => self.fine(&format!("{name}: nats_url {} can be used", settings.shown())),
                // One that could not be read has been told already.
                Err(SettingsError::NoKey(_)) if chosen.nkey_file.is_some() => {}
                Err(SettingsError::NoKey(server)) => self.note(&format!(
                    "{name}: it has no nkey_file; one must be given with each command, for {server} is not on this machine"
                )),
                Err(error) => self.tell::<(), _>(&url.source, Err(error), ""),
            },
        }
        if self.in_place {
            self.files(name, chosen);
        }
        if let Some(flakes) = &chosen.allowed_flakes {
            for flake in &flakes.value {
                let read = flake.parse::<FlakeUrl>();
                let shown = read.as_ref().map(FlakeUrl::without_credentials).unwrap_or_default();
                self.tell(&flakes.source, read, &format!("{name}: allowed flake {shown} can be asked"));
            }
        }
        if !chosen.hosts.is_empty() {
            let hosts: Vec<_> = chosen.hosts.keys().map(Name::as_str).collect();
            self.fine(&format!("{name}: expected hosts: {}", hosts.join(", ")));
        }
    }

    /// Certificates and passwords.
    fn files(&mut self, name: &Name, chosen: &Chosen) {
        let [ca, certificate, key] = [&chosen.tls_ca, &chosen.tls_cert, &chosen.tls_key].map(Option::as_ref);
        let alone = |ca: &Setting<PathBuf>| Tls { ca: Some(ca.value.clone()), identity: None }.fault();
        self.readable(name, "tls_ca", ca, alone);
        self.readable(name, "tls_cert", certificate, |_| None);
        let both = |key: &Setting<PathBuf>| {
            let identity = certificate.map(|certificate| (certificate.value.clone(), key.value.clone()));
            Tls { ca: None, identity }.fault()
        };
        self.readable(name, "tls_key", key, both);
        if let Some(file) = &chosen.flake_credentials {
            let fine = format!("{name}: flake_credentials {} can be used", file.value.display());
            self.tell(&file.source, Credentials::read(&file.value), &fine);
        }
    }

    /// Tries to connect.
    fn server(&mut self, name: &Name, settings: &Settings) {
        let connected = block_on(async {
            let bus = Bus::once(settings).await?;
            let mut subscriptions = Vec::new();
            for count in 0..SUBSCRIPTIONS {
                let subject = format!("deploy.responses.check-{count}");
                subscriptions.push(bus.subscribe(&subject, |_, _| ()).await);
            }
            let ping = bus.ping(PATIENCE).await;
            // The server has answered, and so has said before what it refuses.
            let said = bus.link().borrow().reason.clone();
            Ok((ping, bus.shortage().or(said)))
        });
        match connected {
            Err(failed) => self.problem(&format!("{name}: {}", failed.error)),
            Ok((Err(error), _)) => self.problem(&format!("{name}: {}: {error}", settings.shown())),
            Ok((Ok(_), Some(shortage))) => self.problem(&format!("{name}: {}: {shortage}", settings.shown())),
            Ok((Ok(_), None)) => self.fine(&format!("{name}: connected to {}", settings.shown())),
        }
    }

    /// Tells of a file whether it can be read, and whether `fault` finds something in it.
    fn readable<F>(&mut self, name: &Name, key: &str, file: Option<&Setting<PathBuf>>, fault: F)
    where
        F: Fn(&Setting<PathBuf>) -> Option<String>,
    {
        let Some(file) = file else { return };
        let path = file.value.display();
        let opened = File::open(&file.value).map_err(|error| format!("could not read {key} {path}: {error}"));
        let checked = opened.and_then(|_| fault(file).map_or(Ok(()), Err));
        self.tell(&file.source, checked, &format!("{name}: {key} {path} can be used"));
    }

    fn aliases(&mut self, name: &str, chosen: &Chosen) {
        for alias in chosen.aliases.values() {
            let meant = Target::parse(&alias.value.name, |text| targets::of_file(chosen, text));
            let fine = match &meant {
                Ok(Target::Subject(subject)) => format!("the subject {subject}"),
                Ok(Target::Host(host) | Target::Alias(host)) => format!("the host {host}"),
                Err(_) => String::new(),
            };
            let fine = format!("{name}alias {} means {fine}", alias.value.name);
            self.tell(&alias.source, meant, &fine);
        }
    }
}

/// The certificates of a context.
fn tls_of(chosen: &Chosen) -> Tls {
    let path = |setting: &Option<Setting<PathBuf>>| setting.as_ref().map(|file| file.value.clone());
    Tls { ca: path(&chosen.tls_ca), identity: path(&chosen.tls_cert).zip(path(&chosen.tls_key)) }
}
