//! `config check`: reads the file, and tries what it names: key files, certificates, URLs, aliases.

use super::super::exit::{Exit, Failed};
use super::super::out::Out;
use super::super::targets;
use crate::bus::{Seed, Settings, SettingsError, Tls};
use crate::config::{Chosen, Config, ConfigError, Setting, Source};
use crate::deployer::Target;
use crate::protocol::Name;
use std::fs::File;
use std::path::PathBuf;

/// What is said of the file, and how often it was bad.
struct Findings {
    out: Out,
    problems: usize,
}

pub(super) fn run() -> Result<Exit, Failed> {
    let mut findings = Findings { out: Out::new(), problems: 0 };
    match Config::load(|name| std::env::var_os(name)) {
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
        if let Some(file) = &chosen.nkey_file {
            let read = Seed::read_private(&file.value);
            let key = read.as_ref().map(|seed| seed.public_key().to_owned()).unwrap_or_default();
            let fine = format!("{name}: nkey_file {} is private and holds {key}", file.value.display());
            seed = read.as_ref().ok().cloned();
            self.tell(&file.source, read, &fine);
        }
        match &chosen.nats_url {
            None => self.note(&format!("{name}: it has no nats_url; it must be given with each command")),
            Some(url) => match Settings::new(&url.value, seed, "", "") {
                Ok(settings) => self.fine(&format!("{name}: nats_url {} can be used", settings.shown())),
                // One that could not be read has been told already.
                Err(SettingsError::NoKey(_)) if chosen.nkey_file.is_some() => {}
                Err(SettingsError::NoKey(server)) => self.note(&format!(
                    "{name}: it has no nkey_file; one must be given with each command, for {server} is not on this machine"
                )),
                Err(error) => self.tell::<(), _>(&url.source, Err(error), ""),
            },
        }
        let [ca, certificate, key] = [&chosen.tls_ca, &chosen.tls_cert, &chosen.tls_key].map(Option::as_ref);
        let alone = |ca: &Setting<PathBuf>| Tls { ca: Some(ca.value.clone()), identity: None }.fault();
        self.readable(name, "tls_ca", ca, alone);
        self.readable(name, "tls_cert", certificate, |_| None);
        let both = |key: &Setting<PathBuf>| {
            let identity = certificate.map(|certificate| (certificate.value.clone(), key.value.clone()));
            Tls { ca: None, identity }.fault()
        };
        self.readable(name, "tls_key", key, both);
        if !chosen.hosts.is_empty() {
            let hosts: Vec<_> = chosen.hosts.keys().map(Name::as_str).collect();
            self.fine(&format!("{name}: expected hosts: {}", hosts.join(", ")));
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
