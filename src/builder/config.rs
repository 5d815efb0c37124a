//! The settings of a builder: reads its configuration file and reports all problems of the file.

use crate::config::{ConfigReader, InvalidFile, ProblemKind, TomlValue};
use crate::keys::TrustedKey;
use crate::metrics::Address;
use crate::nats::ConnectionSettings;
use crate::nix::{FlakeAttr, FlakeUrl};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Name of the directory for GC roots, inside the state directory.
pub(super) const ROOTS: &str = "roots";
/// Valid keys of each section.
const TOP: [&str; 7] =
    ["repos", "timeout", "parallel", "keep_going", "post_build_command", "trusted_keys", "fleet_name"];
const REPO: [&str; 4] = ["url", "default_branch", "default", "flake_attrs"];
const DEFAULT_BRANCH: &str = "master";
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(4);
const DEFAULT_PARALLEL: usize = 2;
/// Far more nix processes than fit into memory.
const MAX_PARALLEL: u64 = 256;
/// In seconds. `Instant` cannot represent times that are much further away.
const YEAR: u64 = 365 * 86400;

/// All settings of a builder.
#[derive(Debug, Clone)]
pub struct BuilderConfig {
    /// The builder's configuration file.
    pub rules: BuildRules,
    /// NATS servers and credentials.
    pub settings: ConnectionSettings,
    /// Directory for build records and GC roots; an absolute path.
    pub state_dir: PathBuf,
    /// Address of the metrics endpoint; `None` disables metrics.
    pub metrics: Option<Address>,
    /// Problems found at start that do not prevent the builder from running.
    pub warnings: Vec<String>,
}

/// What may be built, and how.
#[derive(Debug, Clone)]
pub struct BuildRules {
    /// Repositories by name; at least one.
    pub repos: BTreeMap<Name, Repo>,
    /// Repository of a request that names none.
    pub default: Option<Name>,
    /// Maximum duration of a build.
    pub timeout: Duration,
    /// Maximum number of nix processes that run at the same time.
    pub parallel: usize,
    /// Whether to continue with the other hosts after one has failed.
    pub keep_going: bool,
    /// Program and arguments to call with each store path that was built; empty for none.
    pub post_build: Vec<String>,
    /// Keys whose signed requests are accepted; if empty, unsigned requests are accepted too.
    pub trusted_keys: Vec<TrustedKey>,
    /// Name of the fleet, which is part of the signed content.
    pub fleet: Option<Name>,
}

/// A repository that may be built.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Flake URL; never a plain directory, because it has no commits.
    pub url: FlakeUrl,
    /// Branch to build if the request names none.
    pub branch: Revision,
    /// Flake attributes of hosts whose attribute is not the hostname.
    pub attrs: BTreeMap<Name, FlakeAttr>,
}

impl BuilderConfig {
    /// Directory for the GC roots of results.
    pub fn roots(&self) -> PathBuf {
        self.state_dir.join(ROOTS)
    }
}

impl BuildRules {
    /// Adds a trusted key. Fails if the key is already trusted with another date.
    pub fn trust(&mut self, trusted: TrustedKey) -> Result<(), String> {
        match self.trusted_keys.iter().find(|known| known.key == trusted.key) {
            None => self.trusted_keys.push(trusted),
            Some(known) if *known == trusted => {}
            Some(_) => {
                let key = trusted.key.as_str();
                return Err(format!("{key} is listed twice with different dates; list each key once"));
            }
        }
        Ok(())
    }

    /// The repository names, separated by commas.
    pub(super) fn names(&self) -> String {
        self.repos.keys().map(Name::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, BuildRulesError> {
        let text = fs::read_to_string(path)
            .map_err(|source| BuildRulesError::Read { path: path.to_owned(), source })?;
        Ok(Self::parse(&text, path)?)
    }

    /// Parses the content of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, InvalidFile> {
        ConfigReader::read(text, path, None, file)
    }
}

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BuildRulesError {
    /// The file cannot be read.
    #[error("failed to read builder configuration {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file has invalid content.
    #[error(transparent)]
    Invalid(#[from] InvalidFile),
}

fn file(reader: &mut ConfigReader<'_>, table: &Spanned<DeTable<'_>>) -> BuildRules {
    let mut rules = BuildRules {
        repos: BTreeMap::new(),
        default: None,
        timeout: DEFAULT_TIMEOUT,
        parallel: DEFAULT_PARALLEL,
        keep_going: true,
        post_build: Vec::new(),
        trusted_keys: Vec::new(),
        fleet: None,
    };
    // The reader collects the problems, so that one run reports all of them.
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "repos" => repos(reader, value, &mut rules),
            "timeout" => rules.timeout = timeout(reader, value).unwrap_or(DEFAULT_TIMEOUT),
            "parallel" => rules.parallel = parallel(reader, value).unwrap_or(DEFAULT_PARALLEL),
            "keep_going" => {
                rules.keep_going = reader.boolean("keep_going", value).is_none_or(|flag| flag.value);
            }
            "post_build_command" => rules.post_build = command(reader, value).unwrap_or_default(),
            "trusted_keys" => trusted_keys(reader, value, &mut rules),
            "fleet_name" => rules.fleet = reader.parse("fleet_name", value).map(|name| name.value),
            _ => reader.unknown_key(key, "the file", &TOP),
        }
    }
    if rules.repos.is_empty() && reader.problems.is_empty() {
        let example = "[repos.NAME] with url = \"git+https://git.example.org/fleet\"";
        let kind = ProblemKind::Missing { key: "the file".to_owned(), missing: "repos", example };
        reader.push_problem(&(0..0), kind);
    }
    if rules.repos.len() == 1 {
        rules.default = rules.repos.keys().next().cloned();
    }
    rules
}

fn repos(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>, rules: &mut BuildRules) {
    for (key, value) in reader.table("repos", value).into_iter().flatten() {
        let Some(name) = reader.name("repos", key) else { continue };
        let title = format!("repos.{name}");
        let (mut url, mut branch, mut has_url) = (None, Some(Revision::new(DEFAULT_BRANCH).ok()), false);
        let mut attrs = BTreeMap::new();
        for (field, value) in reader.table(&title, value).into_iter().flatten() {
            let path = format!("{title}.{}", field.get_ref());
            match field.get_ref().as_ref() {
                "url" => (url, has_url) = (repo_url(reader, &path, value), true),
                "default_branch" => branch = reader.parse(&path, value).map(|set| Some(set.value)),
                "flake_attrs" => attrs = flake_attrs(reader, &path, value),
                "default" => set_default(reader, &path, value, &name, rules),
                _ => reader.unknown_key(field, &format!("[{title}]"), &REPO),
            }
        }
        if !has_url {
            let example = "url = \"git+https://git.example.org/fleet\"";
            reader.push_problem(&key.span(), ProblemKind::Missing { key: title, missing: "url", example });
        }
        if let (Some(url), Some(branch)) = (url, branch.flatten()) {
            rules.repos.insert(name, Repo { url, branch, attrs });
        }
    }
}

fn repo_url(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<FlakeUrl> {
    let url: FlakeUrl = reader.parse(path, value)?.value;
    if url.remote().is_none() {
        let why = "a plain directory has no commits; use git+file:///PATH of a git repository";
        reader.invalid_value(path, value, why);
        return None;
    }
    Some(url)
}

fn flake_attrs(
    reader: &mut ConfigReader<'_>,
    path: &str,
    value: &TomlValue<'_>,
) -> BTreeMap<Name, FlakeAttr> {
    let mut attrs = BTreeMap::new();
    for (host, value) in reader.table(path, value).into_iter().flatten() {
        let Some(name) = reader.name(path, host) else { continue };
        if let Some(attr) = reader.parse(&format!("{path}.{name}"), value) {
            attrs.insert(name, attr.value);
        }
    }
    attrs
}

fn set_default(
    reader: &mut ConfigReader<'_>,
    path: &str,
    value: &TomlValue<'_>,
    name: &Name,
    rules: &mut BuildRules,
) {
    if !reader.boolean(path, value).is_some_and(|flag| flag.value) {
        return;
    }
    match &rules.default {
        Some(other) => {
            let why = format!("repos.{other} is already the default; remove one of the two");
            reader.invalid_value(path, value, why);
        }
        None => rules.default = Some(name.clone()),
    }
}

fn trusted_keys(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>, rules: &mut BuildRules) {
    const KEY: &str = "trusted_keys";
    let Some(keys) = reader.strings(KEY, value) else { return };
    for text in keys.value {
        let trusted = TrustedKey::parse(text.trim()).map_err(|error| error.to_string());
        if let Err(why) = trusted.and_then(|trusted| rules.trust(trusted)) {
            reader.invalid_value(KEY, value, why);
        }
    }
}

/// Seconds, or a string such as `4h`.
fn timeout(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> Option<Duration> {
    let text = match value.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => {
            reader.wrong_type("timeout", value, "seconds, or a string such as \"4h\"");
            return None;
        }
    };
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.trim() {
        "" | "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86400),
        _ => None,
    };
    let seconds = unit.zip(digits.parse().ok()).and_then(|(unit, count): (u64, u64)| unit.checked_mul(count));
    let timeout = seconds.filter(|seconds| (1..=YEAR).contains(seconds)).map(Duration::from_secs);
    if timeout.is_none() {
        reader.invalid_value(
            "timeout",
            value,
            "expected seconds (1 or more), or a string such as \"90s\", \"30m\" or \"4h\"",
        );
    }
    timeout
}

fn parallel(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> Option<usize> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type("parallel", value, "a number such as 2");
        return None;
    };
    let number = number.to_string().parse().ok().filter(|number| (1..=MAX_PARALLEL).contains(number));
    if number.is_none() {
        reader.invalid_value("parallel", value, format!("expected a number from 1 to {MAX_PARALLEL}"));
    }
    number.and_then(|number| usize::try_from(number).ok())
}

/// A list is a program with its arguments; a string is passed to the shell.
fn command(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> Option<Vec<String>> {
    const KEY: &str = "post_build_command";
    match value.get_ref() {
        DeValue::Array(args) => {
            let args: Option<Vec<String>> =
                args.iter().map(|arg| reader.string(KEY, arg).map(|arg| arg.value)).collect();
            if args.as_ref().is_some_and(Vec::is_empty) {
                reader.invalid_value(
                    KEY,
                    value,
                    "the list is empty; remove the key, or write a program and its arguments",
                );
            }
            args
        }
        DeValue::String(_) => {
            let script = format!("{} \"$@\"", reader.string(KEY, value)?.value);
            // An absolute path, because NixOS units have no shell on their PATH.
            Some(["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()].into())
        }
        _ => {
            reader.wrong_type(KEY, value, "a list such as [\"attic\", \"push\", \"fleet\"]");
            None
        }
    }
}
