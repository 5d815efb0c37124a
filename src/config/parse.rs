//! Reads the file section by section. The whole file is read, so that all that is wrong can be told at once.

use super::reader::{Key, Reader, Value};
use super::section::{Console, Section};
use super::{Complaint, Config, ExpectedHost, FileAlias, Problem, Setting, alias_key};
use crate::protocol::{Name, NameError, PublicKey, SubjectError, check_literal};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeTable;

/// The keys of each section.
const TOP: [&str; 6] = ["context", "contexts", "aliases", "branch", "confirm_tiers", "console"];
const CONTEXT: [&str; 15] = [
    "nats_url",
    "nkey_file",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "fleet",
    "fleet_name",
    "unproven",
    "flake_credentials",
    "branch",
    "confirm_tiers",
    "broker_hosts",
    "allowed_flakes",
    "hosts",
    "aliases",
];
const HOST: [&str; 4] = ["tier", "role", "public_key", "subject"];
const CONSOLE: [&str; 2] = ["shell", "mouse"];

/// A subject that a request can be sent to.
struct RequestSubject(String);

impl FromStr for RequestSubject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        check_literal(text).map(|()| Self(text.to_owned()))
    }
}

/// Reads the text of the file, or gives all that is wrong with it.
pub(super) fn config(text: &str, path: &Path, home: Option<&Path>) -> Result<Config, Vec<Problem>> {
    Reader::read(text, path, home, file)
}

fn file(reader: &mut Reader<'_>, table: &Spanned<DeTable<'_>>) -> Config {
    let mut config = Config {
        file: reader.file.clone(),
        found: true,
        context: None,
        top: Section::default(),
        contexts: BTreeMap::new(),
        console: Console::default(),
    };
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "context" => config.context = reader.parsed("context", value),
            "contexts" => config.contexts = reader.contexts(value),
            "console" => config.console = reader.console(value),
            "aliases" | "branch" | "confirm_tiers" => reader.section_key(&mut config.top, key, value),
            _ => reader.unknown(key, "the file", &TOP),
        }
    }
    config
}

impl Reader<'_> {
    fn contexts(&mut self, value: &Value<'_>) -> BTreeMap<Name, Section> {
        let mut contexts = BTreeMap::new();
        for (key, value) in self.table("contexts", value).into_iter().flatten() {
            let Some(name) = self.name("contexts", key) else { continue };
            self.context = Some(name.clone());
            let mut section = Section { place: Some(self.place(&key.span())), ..Section::default() };
            let title = format!("contexts.{name}");
            for (key, value) in self.table(&title, value).into_iter().flatten() {
                if CONTEXT.contains(&key.get_ref().as_ref()) {
                    self.section_key(&mut section, key, value);
                } else {
                    self.unknown(key, &format!("[{title}]"), &CONTEXT);
                }
            }
            self.check_pair(&section);
            self.context = None;
            contexts.insert(name, section);
        }
        contexts
    }

    fn section_key(&mut self, section: &mut Section, key: &Key<'_>, value: &Value<'_>) {
        match key.get_ref().as_ref() {
            "nats_url" => section.nats_url = self.text("nats_url", value),
            "nkey_file" => section.nkey_file = self.path("nkey_file", value),
            "tls_ca" => section.tls_ca = self.path("tls_ca", value),
            "tls_cert" => section.tls_cert = self.path("tls_cert", value),
            "tls_key" => section.tls_key = self.path("tls_key", value),
            "fleet" => section.fleet = self.path("fleet", value),
            "fleet_name" => section.fleet_name = self.parsed("fleet_name", value),
            "unproven" => section.unproven = self.parsed("unproven", value),
            "flake_credentials" => section.flake_credentials = self.path("flake_credentials", value),
            "branch" => section.branch = self.parsed("branch", value),
            "confirm_tiers" => section.confirm_tiers = self.names("confirm_tiers", value),
            "broker_hosts" => section.broker_hosts = self.names("broker_hosts", value),
            "allowed_flakes" => section.allowed_flakes = self.texts("allowed_flakes", value),
            "hosts" => section.hosts = self.hosts(value),
            _ => section.aliases = self.aliases(value),
        }
    }

    /// A certificate is of no use without its key.
    fn check_pair(&mut self, section: &Section) {
        let pairs = [
            (&section.tls_cert, &section.tls_key, "tls_cert", "tls_key"),
            (&section.tls_key, &section.tls_cert, "tls_key", "tls_cert"),
        ];
        for (one, other, key, missing) in pairs {
            if let (Some(place), None) = (one.as_ref().and_then(|one| one.source.place()), other) {
                let (line, column, key) = (place.line, place.column, key.to_owned());
                let complaint = Complaint::Missing { key, missing, wanted: "both, or neither" };
                self.problems.push(Problem { line, column, complaint });
            }
        }
    }

    fn hosts(&mut self, value: &Value<'_>) -> BTreeMap<Name, Setting<ExpectedHost>> {
        let mut hosts = BTreeMap::new();
        for (key, value) in self.table("hosts", value).into_iter().flatten() {
            let Some(name) = self.name("hosts", key) else { continue };
            let title = format!("hosts.{name}");
            let Some(fields) = self.table(&title, value) else { continue };
            let (mut tier, mut role, mut told) = (None, None, false);
            let (mut public_key, mut subject) = (None, None);
            for (field, value) in fields {
                let path = format!("{title}.{}", field.get_ref());
                match field.get_ref().as_ref() {
                    "tier" => (tier, told) = (self.parsed(&path, value), true),
                    "role" => role = self.parsed(&path, value),
                    "public_key" => public_key = self.parsed(&path, value),
                    "subject" => subject = self.parsed(&path, value),
                    _ => self.unknown(field, &title, &HOST),
                }
            }
            if !told {
                let wanted = "{ tier = \"prod\" }";
                self.wrong(&key.span(), Complaint::Missing { key: title, missing: "tier", wanted });
            }
            let Some(tier) = tier else { continue };
            let role = role.map(|role: Setting<Name>| role.value);
            let public_key = public_key.map(|key: Setting<PublicKey>| key.value);
            let subject = subject.map(|subject: Setting<RequestSubject>| subject.value.0);
            let host = ExpectedHost { tier: tier.value, role, public_key, subject };
            hosts.insert(name, Setting { value: host, source: super::Source::File(self.place(&key.span())) });
        }
        hosts
    }

    fn aliases(&mut self, value: &Value<'_>) -> BTreeMap<String, Setting<FileAlias>> {
        let mut aliases: BTreeMap<String, Setting<FileAlias>> = BTreeMap::new();
        for (key, value) in self.table("aliases", value).into_iter().flatten() {
            let name = key.get_ref().as_ref();
            // A reserved word is nobody's name, and so a fine one for what stands for others.
            if !matches!(Name::new(name), Ok(_) | Err(NameError::Reserved(_))) {
                self.name("aliases", key);
                continue;
            }
            let Some(meaning) = self.text(&format!("aliases.{name}"), value) else { continue };
            let known = aliases.get(&alias_key(name)).map(|known| known.value.name.clone());
            if let Some(known) = known {
                self.bad(&format!("aliases.{name}"), value, format!("it is the same alias as {known}"));
                continue;
            }
            let alias = FileAlias { name: name.to_string(), meaning: meaning.value };
            aliases.insert(alias_key(name), Setting { value: alias, source: meaning.source });
        }
        aliases
    }

    fn console(&mut self, value: &Value<'_>) -> Console {
        let mut console = Console::default();
        for (key, value) in self.table("console", value).into_iter().flatten() {
            match key.get_ref().as_ref() {
                "shell" => console.shell = self.shell(value),
                "mouse" => console.mouse = self.flag("console.mouse", value),
                _ => self.unknown(key, "[console]", &CONSOLE),
            }
        }
        console
    }

    fn shell(&mut self, value: &Value<'_>) -> Option<Setting<String>> {
        let shell = self.text("console.shell", value)?;
        if !shell.value.contains("{host}") {
            self.bad("console.shell", value, "it must say where {host} belongs, as in \"ssh {host}\"");
            return None;
        }
        Some(shell)
    }
}
