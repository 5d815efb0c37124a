//! Reads the builder's file, or tells all that is wrong with it.

use super::config::{Repo, Rules};
use crate::config::{Complaint, Problem, Reader, Value};
use crate::keys::TrustedKey;
use crate::nix::{FlakeAttr, FlakeUrl};
use crate::protocol::{Name, Revision};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The keys of each section.
const TOP: [&str; 7] =
    ["repos", "timeout", "parallel", "keep_going", "post_build_command", "trusted_keys", "fleet_name"];
const REPO: [&str; 4] = ["url", "default_branch", "default", "flake_attrs"];

const DEFAULT_BRANCH: &str = "master";
const DEFAULT_TIMEOUT: Duration = Duration::from_hours(4);
const DEFAULT_PARALLEL: usize = 2;
/// More programs of nix than anybody's memory has room for.
const MOST_PARALLEL: u64 = 256;
/// In seconds; what lies much further away has no place in the clock.
const YEAR: u64 = 365 * 86400;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It cannot be read.
    #[error("could not read the builder's configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It says something that cannot be.
    #[error("{}", all(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, in the order of the file; at least one.
        problems: Vec<Problem>,
    },
}

fn all(path: &Path, problems: &[Problem]) -> String {
    let told = problems.iter().map(|problem| format!("{}:{problem}", path.display()));
    told.collect::<Vec<_>>().join("\n")
}

impl Rules {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        let text =
            fs::read_to_string(path).map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RulesError> {
        Reader::read(text, path, None, file)
            .map_err(|problems| RulesError::Wrong { path: path.to_owned(), problems })
    }
}

fn file(reader: &mut Reader<'_>, table: &Spanned<DeTable<'_>>) -> Rules {
    let mut rules = Rules {
        repos: BTreeMap::new(),
        default: None,
        timeout: DEFAULT_TIMEOUT,
        parallel: DEFAULT_PARALLEL,
        keep_going: true,
        post_build: Vec::new(),
        trusted_keys: Vec::new(),
        fleet: None,
    };
    // What is wrong is noted by the reader, and reading goes on so that all of it is told.
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "repos" => repos(reader, value, &mut rules),
            "timeout" => rules.timeout = timeout(reader, value).unwrap_or(DEFAULT_TIMEOUT),
            "parallel" => rules.parallel = parallel(reader, value).unwrap_or(DEFAULT_PARALLEL),
            "keep_going" => rules.keep_going = reader.flag("keep_going", value).is_none_or(|flag| flag.value),
            "post_build_command" => rules.post_build = command(reader, value).unwrap_or_default(),
            "trusted_keys" => trusted_keys(reader, value, &mut rules),
            "fleet_name" => rules.fleet = reader.parsed("fleet_name", value).map(|name| name.value),
            _ => reader.unknown(key, "the file", &TOP),
        }
    }
    if rules.repos.is_empty() && reader.problems.is_empty() {
        let wanted = "[repos.NAME] and below it url = \"git+https://git.example.org/fleet\"";
        let complaint = Complaint::Missing { key: "the file".to_owned(), missing: "repos", wanted };
        reader.wrong(&(0..0), complaint);
    }
    if rules.repos.len() == 1 {
        rules.default = rules.repos.keys().next().cloned();
    }
    rules
}

fn repos(reader: &mut Reader<'_>, value: &Value<'_>, rules: &mut Rules) {
    for (key, value) in reader.table("repos", value).into_iter().flatten() {
        let Some(name) = reader.name("repos", key) else { continue };
        let title = format!("repos.{name}");
        let (mut url, mut branch, mut told) = (None, Some(Revision::new(DEFAULT_BRANCH).ok()), false);
        let mut attrs = BTreeMap::new();
        for (field, value) in reader.table(&title, value).into_iter().flatten() {
            let path = format!("{title}.{}", field.get_ref());
            match field.get_ref().as_ref() {
                "url" => (url, told) = (repo_url(reader, &path, value), true),
                "default_branch" => branch = reader.parsed(&path, value).map(|set| Some(set.value)),
                "flake_attrs" => attrs = flake_attrs(reader, &path, value),
                "default" => be_default(reader, &path, value, &name, rules),
                _ => reader.unknown(field, &format!("[{title}]"), &REPO),
            }
        }
        if !told {
            let wanted = "url = \"git+https://git.example.org/fleet\"";
            reader.wrong(&key.span(), Complaint::Missing { key: title, missing: "url", wanted });
        }
        if let (Some(url), Some(branch)) = (url, branch.flatten()) {
            rules.repos.insert(name, Repo { url, branch, attrs });
        }
    }
}

fn repo_url(reader: &mut Reader<'_>, path: &str, value: &Value<'_>) -> Option<FlakeUrl> {
    let url: FlakeUrl = reader.parsed(path, value)?.value;
    if url.remote().is_none() {
        let why = "a folder has no commits; write git+file:///PATH of a git repository";
        reader.bad(path, value, why);
        return None;
    }
    Some(url)
}

fn flake_attrs(reader: &mut Reader<'_>, path: &str, value: &Value<'_>) -> BTreeMap<Name, FlakeAttr> {
    let mut attrs = BTreeMap::new();
    for (host, value) in reader.table(path, value).into_iter().flatten() {
        let Some(name) = reader.name(path, host) else { continue };
        if let Some(attr) = reader.parsed(&format!("{path}.{name}"), value) {
            attrs.insert(name, attr.value);
        }
    }
    attrs
}

fn be_default(reader: &mut Reader<'_>, path: &str, value: &Value<'_>, name: &Name, rules: &mut Rules) {
    if !reader.flag(path, value).is_some_and(|flag| flag.value) {
        return;
    }
    match &rules.default {
        Some(other) => {
            let why = format!("repos.{other} is the default already; leave one of them out");
            reader.bad(path, value, why);
        }
        None => rules.default = Some(name.clone()),
    }
}

fn trusted_keys(reader: &mut Reader<'_>, value: &Value<'_>, rules: &mut Rules) {
    const KEY: &str = "trusted_keys";
    let Some(keys) = reader.texts(KEY, value) else { return };
    for text in keys.value {
        let trusted = TrustedKey::parse(text.trim()).map_err(|error| error.to_string());
        if let Err(why) = trusted.and_then(|trusted| rules.trust(trusted)) {
            reader.bad(KEY, value, why);
        }
    }
}

/// Seconds, or a text as `4h`.
fn timeout(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Duration> {
    let text = match value.get_ref() {
        DeValue::Integer(number) => number.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => {
            reader.wrong_type("timeout", value, "seconds, or a text as in \"4h\"");
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
        reader.bad("timeout", value, "write seconds from 1, or a text as in \"90s\", \"30m\" or \"4h\"");
    }
    timeout
}

fn parallel(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<usize> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type("parallel", value, "a number, as in 2");
        return None;
    };
    let number = number.to_string().parse().ok().filter(|number| (1..=MOST_PARALLEL).contains(number));
    if number.is_none() {
        reader.bad("parallel", value, format!("write a number from 1 to {MOST_PARALLEL}"));
    }
    number.and_then(|number| usize::try_from(number).ok())
}

/// A list is a program with its arguments; a text is for the shell.
fn command(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<String>> {
    const KEY: &str = "post_build_command";
    match value.get_ref() {
        DeValue::Array(words) => {
            let words: Option<Vec<String>> =
                words.iter().map(|word| reader.text(KEY, word).map(|word| word.value)).collect();
            if words.as_ref().is_some_and(Vec::is_empty) {
                reader.bad(KEY, value, "it is empty; leave it out, or write a program and its arguments");
            }
            words
        }
        DeValue::String(_) => {
            let script = format!("{} \"$@\"", reader.text(KEY, value)?.value);
            // By its path: a unit of NixOS has no shell on its PATH.
            Some(["/bin/sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()].into())
        }
        _ => {
            reader.wrong_type(KEY, value, "a list, as in [\"attic\", \"push\", \"fleet\"]");
            None
        }
    }
}
