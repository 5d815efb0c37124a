//! Parses the file section by section. It reads the whole file so that all problems are reported together.

use super::reader::{ConfigReader, TomlKey, TomlValue};
use super::section::{ConsoleEntry, ConsoleSection, Section};
use super::{
    Config, ConfigProblem, ExpectedHost, FileAlias, InvalidFile, ProblemKind, Setting, SettingSource,
    alias_key,
};
use crate::protocol::{Name, NameError, PublicKey, SubjectError, check_request_subject};
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
    "nats_hosts",
    "allowed_flakes",
    "hosts",
    "aliases",
];
const HOST: [&str; 4] = ["tier", "role", "public_key", "subject"];
const CONSOLE: [&str; 11] = [
    "shell",
    "mouse",
    "title",
    "progress",
    "notify",
    "bell",
    "columns",
    "system_columns",
    "keys",
    "theme",
    "aliases",
];

/// A subject that accepts requests.
struct RequestSubject(String);

impl FromStr for RequestSubject {
    type Err = SubjectError;

    fn from_str(text: &str) -> Result<Self, SubjectError> {
        check_request_subject(text).map(|()| Self(text.to_owned()))
    }
}

/// Parses the text of the file, or returns all of its problems.
pub(super) fn config(text: &str, path: &Path, home: Option<&Path>) -> Result<Config, InvalidFile> {
    ConfigReader::read(text, path, home, file)
}

fn file(reader: &mut ConfigReader<'_>, table: &Spanned<DeTable<'_>>) -> Config {
    let mut config = Config {
        file: reader.file.clone(),
        found: true,
        context: None,
        global: Section::default(),
        contexts: BTreeMap::new(),
        console: ConsoleSection::default(),
    };
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "context" => config.context = reader.parse("context", value),
            "contexts" => config.contexts = contexts(reader, value),
            "console" => config.console = console(reader, value),
            "aliases" | "branch" | "confirm_tiers" => section_key(reader, &mut config.global, key, value),
            _ => reader.unknown_key(key, "the file", &TOP),
        }
    }
    config
}

fn contexts(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> BTreeMap<Name, Section> {
    let mut contexts = BTreeMap::new();
    for (key, value) in reader.table("contexts", value).into_iter().flatten() {
        let Some(name) = reader.name("contexts", key) else { continue };
        reader.context = Some(name.clone());
        let mut section = Section { location: Some(reader.location(&key.span())), ..Section::default() };
        let title = format!("contexts.{name}");
        for (key, value) in reader.table(&title, value).into_iter().flatten() {
            if CONTEXT.contains(&key.get_ref().as_ref()) {
                section_key(reader, &mut section, key, value);
            } else {
                reader.unknown_key(key, &format!("[{title}]"), &CONTEXT);
            }
        }
        check_certificate_pair(reader, &section);
        reader.context = None;
        contexts.insert(name, section);
    }
    contexts
}

fn section_key(
    reader: &mut ConfigReader<'_>,
    section: &mut Section,
    key: &TomlKey<'_>,
    value: &TomlValue<'_>,
) {
    match key.get_ref().as_ref() {
        "nats_url" => section.nats_url = reader.string("nats_url", value),
        "nkey_file" => section.nkey_file = reader.path("nkey_file", value),
        "tls_ca" => section.tls_ca = reader.path("tls_ca", value),
        "tls_cert" => section.tls_cert = reader.path("tls_cert", value),
        "tls_key" => section.tls_key = reader.path("tls_key", value),
        "fleet" => section.fleet = reader.path("fleet", value),
        "fleet_name" => section.fleet_name = reader.parse("fleet_name", value),
        "unproven" => section.unproven = reader.parse("unproven", value),
        "flake_credentials" => section.flake_credentials = reader.path("flake_credentials", value),
        "branch" => section.branch = reader.parse("branch", value),
        "confirm_tiers" => section.confirm_tiers = reader.names("confirm_tiers", value),
        "nats_hosts" => section.nats_hosts = reader.names("nats_hosts", value),
        "allowed_flakes" => section.allowed_flakes = reader.strings("allowed_flakes", value),
        "hosts" => section.hosts = hosts(reader, value),
        _ => section.aliases = aliases(reader, value),
    }
}

/// A certificate is unusable without its key.
fn check_certificate_pair(reader: &mut ConfigReader<'_>, section: &Section) {
    let pairs = [
        (&section.tls_cert, &section.tls_key, "tls_cert", "tls_key"),
        (&section.tls_key, &section.tls_cert, "tls_key", "tls_cert"),
    ];
    for (one, other, key, missing) in pairs {
        if let (Some(location), None) = (one.as_ref().and_then(|one| one.source.location()), other) {
            let (line, column, key) = (location.line, location.column, key.to_owned());
            let kind = ProblemKind::Missing { key, missing, example: "both, or neither" };
            reader.problems.push(ConfigProblem { line, column, kind });
        }
    }
}

fn hosts(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> BTreeMap<Name, Setting<ExpectedHost>> {
    let mut hosts = BTreeMap::new();
    for (key, value) in reader.table("hosts", value).into_iter().flatten() {
        let Some(name) = reader.name("hosts", key) else { continue };
        let title = format!("hosts.{name}");
        let Some(fields) = reader.table(&title, value) else { continue };
        let (mut tier, mut role, mut has_tier) = (None, None, false);
        let (mut public_key, mut subject) = (None, None);
        for (field, value) in fields {
            let path = format!("{title}.{}", field.get_ref());
            match field.get_ref().as_ref() {
                "tier" => (tier, has_tier) = (reader.parse(&path, value), true),
                "role" => role = reader.parse(&path, value),
                "public_key" => public_key = reader.parse(&path, value),
                "subject" => subject = reader.parse(&path, value),
                _ => reader.unknown_key(field, &title, &HOST),
            }
        }
        if !has_tier {
            let example = "{ tier = \"prod\" }";
            reader.push_problem(&key.span(), ProblemKind::Missing { key: title, missing: "tier", example });
        }
        let Some(tier) = tier else { continue };
        let role = role.map(|role: Setting<Name>| role.value);
        let public_key = public_key.map(|key: Setting<PublicKey>| key.value);
        let subject = subject.map(|subject: Setting<RequestSubject>| subject.value.0);
        let host = ExpectedHost { tier: tier.value, role, public_key, subject };
        hosts
            .insert(name, Setting { value: host, source: SettingSource::File(reader.location(&key.span())) });
    }
    hosts
}

fn aliases(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> BTreeMap<String, Setting<FileAlias>> {
    let mut aliases: BTreeMap<String, Setting<FileAlias>> = BTreeMap::new();
    for (key, value) in reader.table("aliases", value).into_iter().flatten() {
        let name = key.get_ref().as_ref();
        // A reserved word is never a host name, so it may be an alias.
        if !matches!(Name::new(name), Ok(_) | Err(NameError::Reserved(_))) {
            reader.name("aliases", key);
            continue;
        }
        let Some(meaning) = reader.string(&format!("aliases.{name}"), value) else { continue };
        let known = aliases.get(&alias_key(name)).map(|known| known.value.name.clone());
        if let Some(known) = known {
            reader.invalid_value(
                &format!("aliases.{name}"),
                value,
                format!("it is the same alias as {known}"),
            );
            continue;
        }
        let alias = FileAlias { name: name.to_string(), meaning: meaning.value };
        aliases.insert(alias_key(name), Setting { value: alias, source: meaning.source });
    }
    aliases
}

fn console(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> ConsoleSection {
    let mut console = ConsoleSection::default();
    for (key, value) in reader.table("console", value).into_iter().flatten() {
        match key.get_ref().as_ref() {
            "shell" => console.shell = shell(reader, value),
            "mouse" => console.mouse = reader.boolean("console.mouse", value),
            "title" => console.title = reader.boolean("console.title", value),
            "progress" => console.progress = reader.boolean("console.progress", value),
            "notify" => console.notify = reader.boolean("console.notify", value),
            "bell" => console.bell = reader.boolean("console.bell", value),
            "columns" => console.columns = reader.settings("console.columns", value),
            "system_columns" => console.system_columns = reader.settings("console.system_columns", value),
            "keys" => console.keys = entries(reader, "console.keys", value, one_or_several),
            "theme" => console.theme = entries(reader, "console.theme", value, only_one),
            "aliases" => console.aliases = entries(reader, "console.aliases", value, only_one),
            _ => reader.unknown_key(key, "[console]", &CONSOLE),
        }
    }
    console
}

/// The keys of a table, each with what `read` returns for its value.
fn entries(
    reader: &mut ConfigReader<'_>,
    title: &str,
    value: &TomlValue<'_>,
    read: impl Fn(&mut ConfigReader<'_>, &str, &TomlValue<'_>) -> Option<Vec<Setting<String>>>,
) -> Vec<ConsoleEntry> {
    let mut entries = Vec::new();
    for (key, value) in reader.table(title, value).into_iter().flatten() {
        let source = SettingSource::File(reader.location(&key.span()));
        let name = Setting { value: key.get_ref().to_string(), source };
        let values = read(reader, &format!("{title}.{}", name.value), value);
        entries.extend(values.map(|values| ConsoleEntry { name, values }));
    }
    entries
}

fn only_one(reader: &mut ConfigReader<'_>, key: &str, value: &TomlValue<'_>) -> Option<Vec<Setting<String>>> {
    reader.string(key, value).map(|value| vec![value])
}

fn one_or_several(
    reader: &mut ConfigReader<'_>,
    key: &str,
    value: &TomlValue<'_>,
) -> Option<Vec<Setting<String>>> {
    match value.get_ref().as_str() {
        Some(_) => only_one(reader, key, value),
        None => reader.settings(key, value).map(|values| values.value),
    }
}

fn shell(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> Option<Setting<String>> {
    let shell = reader.string("console.shell", value)?;
    if !shell.value.contains("{host}") {
        reader.invalid_value(
            "console.shell",
            value,
            "it must say where {host} belongs, as in \"ssh {host}\"",
        );
        return None;
    }
    Some(shell)
}
