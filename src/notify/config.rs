//! The configuration file of `notify`: reads it and reports all of its problems.

use super::filter::TargetFilter;
use super::notification::NotifyResult;
use super::template::NotifyTemplate;
use crate::config::{ConfigReader, InvalidFile, ProblemKind, TomlKey, TomlValue, Unproven, expected_names};
use crate::git::{UrlParts, is_loopback};
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, Name};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;
use std::{fs, io};
use strum::{EnumString, IntoStaticStr, VariantNames};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Valid keys of each section.
const TOP: [&str; 7] =
    ["fleet", "fleet_name", "unproven", "end_after", "silent_after", "host_after", "targets"];
const TARGET: [&str; 19] = [
    "kind",
    "url",
    "url_file",
    "token_file",
    "secret_file",
    "room",
    "insecure_http",
    "timeout",
    "limit",
    "events",
    "tiers",
    "roles",
    "hosts",
    "results",
    "actions",
    "title",
    "message",
    "priority",
    "tags",
];

const DEFAULT_END_AFTER: SignedDuration = SignedDuration::from_secs(15);
const DEFAULT_SILENT_AFTER: SignedDuration = SignedDuration::from_mins(15);
const DEFAULT_HOST_AFTER: SignedDuration = SignedDuration::from_mins(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
const DEFAULT_LIMIT: u32 = 10;
/// The longest of these times. A longer one is not meaningful.
const MAX_TIME: SignedDuration = SignedDuration::from_hours(24);
/// The most messages a minute that a target can be configured for.
const MAX_LIMIT: u32 = 600;

/// The settings of the file.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// The fleet file with the keys of the hosts.
    pub fleet: Option<PathBuf>,
    /// The name of the fleet, which is part of all signed data.
    pub fleet_name: Option<Name>,
    /// Whether reports of unproven hosts count.
    pub unproven: Unproven,
    /// How long after the last result a deployment has ended.
    pub end_after: SignedDuration,
    /// How long after the last report a deployment has ended although hosts have no result.
    pub silent_after: SignedDuration,
    /// How long a host is offline, or its units have failed, before that is a notification.
    pub host_after: SignedDuration,
    /// The targets by name; at least one.
    pub targets: BTreeMap<Name, NotifyTarget>,
}

/// The kind of server that receives notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum TargetKind {
    /// ntfy.
    Ntfy,
    /// A room of a Matrix server.
    Matrix,
    /// A server that accepts Slack's incoming webhooks, such as Mattermost.
    Slack,
    /// A webhook of Discord.
    Discord,
    /// Any server that accepts a POST with JSON.
    Webhook,
}

/// The URL of a target, or the file that contains it because it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetUrl {
    /// The URL.
    Plain(String),
    /// The path of the file.
    File(PathBuf),
}

/// A target of notifications.
#[derive(Debug, Clone)]
pub struct NotifyTarget {
    /// The kind of server.
    pub kind: TargetKind,
    /// Where it is.
    pub url: TargetUrl,
    /// The file with the access token.
    pub token_file: Option<PathBuf>,
    /// The file with the secret that signs the body for a webhook.
    pub secret_file: Option<PathBuf>,
    /// The id of the Matrix room.
    pub room: Option<String>,
    /// Whether HTTP without TLS may leave this machine.
    pub insecure_http: bool,
    /// Timeout of one attempt.
    pub timeout: Duration,
    /// The most messages a minute.
    pub limit: u32,
    /// What the target is about.
    pub filter: TargetFilter,
    /// The template of titles.
    pub title: NotifyTemplate,
    /// The template of messages.
    pub message: NotifyTemplate,
    /// The priority of ntfy by result.
    pub priority: BTreeMap<NotifyResult, u8>,
    /// The tags of ntfy by result.
    pub tags: BTreeMap<NotifyResult, Vec<String>>,
}

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotifyConfigError {
    /// The file cannot be read.
    #[error("failed to read notify configuration {}: {source}", path.display())]
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

impl NotifyConfig {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, NotifyConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| NotifyConfigError::Read { path: path.to_owned(), source })?;
        Ok(Self::parse(&text, path)?)
    }

    /// Parses the content of the file at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, InvalidFile> {
        let home = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        ConfigReader::read(text, path, home.as_deref(), file)
    }
}

impl TargetKind {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the URL of such a target is a secret, which everyone who knows it can post to.
    fn has_secret_url(self) -> bool {
        matches!(self, Self::Slack | Self::Discord)
    }

    /// The keys that only some kinds have, if this is not one of them.
    fn lacks(self, key: &str) -> Option<&'static str> {
        let (has, only) = match key {
            "token_file" => {
                (matches!(self, Self::Ntfy | Self::Matrix | Self::Webhook), "ntfy, matrix and webhook")
            }
            "secret_file" => (self == Self::Webhook, "webhook"),
            "room" => (self == Self::Matrix, "matrix"),
            "priority" | "tags" => (self == Self::Ntfy, "ntfy"),
            _ => return None,
        };
        (!has).then_some(only)
    }
}

fn file(reader: &mut ConfigReader<'_>, table: &Spanned<DeTable<'_>>) -> NotifyConfig {
    let mut config = NotifyConfig {
        fleet: None,
        fleet_name: None,
        unproven: Unproven::Refuse,
        end_after: DEFAULT_END_AFTER,
        silent_after: DEFAULT_SILENT_AFTER,
        host_after: DEFAULT_HOST_AFTER,
        targets: BTreeMap::new(),
    };
    let mut has_targets = false;
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "fleet" => config.fleet = reader.path("fleet", value).map(|path| path.value),
            "fleet_name" => config.fleet_name = reader.parse("fleet_name", value).map(|name| name.value),
            "unproven" => set(&mut config.unproven, reader.parse("unproven", value).map(|set| set.value)),
            "end_after" => set(&mut config.end_after, time(reader, "end_after", value)),
            "silent_after" => set(&mut config.silent_after, time(reader, "silent_after", value)),
            "host_after" => set(&mut config.host_after, time(reader, "host_after", value)),
            "targets" => {
                has_targets = true;
                config.targets = targets(reader, value);
            }
            _ => reader.unknown_key(key, "the file", &TOP),
        }
    }
    let is_empty = !has_targets || config.targets.is_empty();
    if is_empty && reader.problems.is_empty() {
        let example = "[targets.NAME] with kind = \"ntfy\" and url = \"https://ntfy.sh/TOPIC\"";
        let kind = ProblemKind::Missing { key: "the file".to_owned(), missing: "targets", example };
        reader.push_problem(&(0..0), kind);
    }
    config
}

fn set<T>(value: &mut T, read: Option<T>) {
    if let Some(read) = read {
        *value = read;
    }
}

fn targets(reader: &mut ConfigReader<'_>, value: &TomlValue<'_>) -> BTreeMap<Name, NotifyTarget> {
    let mut targets = BTreeMap::new();
    for (key, value) in reader.table("targets", value).into_iter().flatten() {
        let Some(name) = reader.name("targets", key) else { continue };
        if let Some(target) = target(reader, &name, key, value) {
            targets.insert(name, target);
        }
    }
    targets
}

/// What was read of a target so far.
struct TargetDraft {
    title: String,
    kind: Option<TargetKind>,
    url: Option<TargetUrl>,
    target: NotifyTarget,
}

fn target(
    reader: &mut ConfigReader<'_>,
    name: &Name,
    key: &TomlKey<'_>,
    value: &TomlValue<'_>,
) -> Option<NotifyTarget> {
    let target = NotifyTarget {
        kind: TargetKind::Webhook,
        url: TargetUrl::Plain(String::new()),
        token_file: None,
        secret_file: None,
        room: None,
        insecure_http: false,
        timeout: DEFAULT_TIMEOUT,
        limit: DEFAULT_LIMIT,
        filter: TargetFilter::default(),
        title: NotifyTemplate::title(),
        message: NotifyTemplate::message(),
        priority: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    let mut draft = TargetDraft { title: format!("targets.{name}"), kind: None, url: None, target };
    let table = reader.table(&draft.title, value)?;
    let before = reader.problems.len();
    for (field, value) in table {
        field_of_target(reader, &mut draft, field, value);
    }
    let TargetDraft { title, kind, url, mut target } = draft;
    let mut missing = |missing: &'static str, example: &'static str| {
        let kind = ProblemKind::Missing { key: title.clone(), missing, example };
        reader.push_problem(&key.span(), kind);
    };
    // A value with a problem is not missing.
    if kind.is_none() && !has(table, "kind") {
        missing("kind", "kind = \"ntfy\", or matrix, slack, discord or webhook");
    }
    if !has(table, "url") && !has(table, "url_file") {
        missing("url", "url = \"https://…\", or url_file = \"/PATH\" if the URL is secret");
    }
    if kind == Some(TargetKind::Matrix) {
        if !has(table, "room") {
            missing("room", "room = \"!ID:SERVER\", the id of the room");
        }
        if !has(table, "token_file") {
            missing("token_file", "token_file = \"/PATH\" of a file with the access token");
        }
    }
    if let Some(kind) = kind {
        check_kind(reader, &title, kind, table);
    }
    if let (Some(TargetUrl::Plain(url)), Some(kind)) = (&url, kind) {
        let checked = check_url(url, kind, target.insecure_http);
        if let (Err(reason), Some(value)) = (checked, value_of(table, "url")) {
            reader.invalid_value(&format!("{title}.url"), value, reason);
        }
    }
    (target.kind, target.url) = (kind?, url?);
    (reader.problems.len() == before).then_some(target)
}

fn has(table: &DeTable<'_>, key: &str) -> bool {
    value_of(table, key).is_some()
}

fn value_of<'t, 'i>(table: &'t DeTable<'i>, key: &str) -> Option<&'t TomlValue<'i>> {
    table.iter().find(|(name, _)| name.get_ref().as_ref() == key).map(|(_, value)| value)
}

/// Records keys that a target of this kind does not have.
fn check_kind(reader: &mut ConfigReader<'_>, title: &str, kind: TargetKind, table: &DeTable<'_>) {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if let Some(only) = kind.lacks(name) {
            let reason = format!("a target of the kind {} has no {name}, only {only}", kind.as_str());
            reader.invalid_value(&format!("{title}.{name}"), value, reason);
        }
        if name == "url" && kind.has_secret_url() {
            let reason = "everyone who knows it can post there: write it to a file and set url_file";
            reader.invalid_value(&format!("{title}.url"), value, reason);
        }
    }
    if let (true, Some(value)) = (has(table, "url"), value_of(table, "url_file")) {
        reader.invalid_value(
            &format!("{title}.url_file"),
            value,
            "there is also a url; remove one of the two",
        );
    }
}

fn field_of_target(
    reader: &mut ConfigReader<'_>,
    draft: &mut TargetDraft,
    field: &TomlKey<'_>,
    value: &TomlValue<'_>,
) {
    let path = format!("{}.{}", draft.title, field.get_ref());
    let target = &mut draft.target;
    match field.get_ref().as_ref() {
        "kind" => draft.kind = choice(reader, &path, value),
        "url" => draft.url = reader.string(&path, value).map(|url| TargetUrl::Plain(url.value)),
        "url_file" => draft.url = secret_path(reader, &path, value).map(TargetUrl::File),
        "token_file" => target.token_file = secret_path(reader, &path, value),
        "secret_file" => target.secret_file = secret_path(reader, &path, value),
        "room" => target.room = room(reader, &path, value),
        "insecure_http" => {
            set(&mut target.insecure_http, reader.boolean(&path, value).map(|flag| flag.value));
        }
        "timeout" => {
            let read = time(reader, &path, value).and_then(|time| Duration::try_from(time).ok());
            set(&mut target.timeout, read);
        }
        "limit" => set(&mut target.limit, number(reader, &path, value, MAX_LIMIT)),
        "events" => set(&mut target.filter.events, choices(reader, &path, value)),
        "results" => set(&mut target.filter.results, choices::<NotifyResult>(reader, &path, value)),
        "tiers" => target.filter.tiers = names(reader, &path, value),
        "roles" => target.filter.roles = names(reader, &path, value),
        "hosts" => target.filter.hosts = names(reader, &path, value),
        "actions" => target.filter.actions = actions(reader, &path, value),
        "title" => set(&mut target.title, reader.parse(&path, value).map(|set| set.value)),
        "message" => set(&mut target.message, reader.parse(&path, value).map(|set| set.value)),
        "priority" => {
            target.priority = by_result(reader, &path, value, |reader, path, value| {
                number(reader, path, value, 5).and_then(|number| u8::try_from(number).ok())
            });
        }
        "tags" => target.tags = by_result(reader, &path, value, tags),
        _ => reader.unknown_key(field, &format!("[{}]", draft.title), &TARGET),
    }
}

/// A time with a unit, such as `90s`, `15m` or `1h`.
fn time(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<SignedDuration> {
    let text = reader.string(path, value)?.value;
    let span = text.parse::<Span>().ok();
    let time = span
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .filter(|time| time.is_positive() && *time <= MAX_TIME);
    if time.is_none() {
        reader.invalid_value(
            path,
            value,
            "expected a time up to 24 hours, such as \"30s\", \"15m\" or \"1h\"",
        );
    }
    time
}

fn number(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>, max: u32) -> Option<u32> {
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type(path, value, "a number such as 3");
        return None;
    };
    let number = number.to_string().parse().ok().filter(|number| (1..=max).contains(number));
    if number.is_none() {
        reader.invalid_value(path, value, format!("expected a number from 1 to {max}"));
    }
    number
}

/// One of the words of an enum.
fn choice<T: FromStr + VariantNames>(
    reader: &mut ConfigReader<'_>,
    path: &str,
    value: &TomlValue<'_>,
) -> Option<T> {
    let text = reader.string(path, value)?.value;
    let read = text.parse().ok();
    if read.is_none() {
        reader.invalid_value(path, value, unknown_word(&text, T::VARIANTS));
    }
    read
}

fn unknown_word(text: &str, known: &[&str]) -> impl Display {
    format!("unknown word {text:?}; {}", expected_names(text, known))
}

fn choices<T: FromStr + VariantNames + Ord>(
    reader: &mut ConfigReader<'_>,
    path: &str,
    value: &TomlValue<'_>,
) -> Option<BTreeSet<T>> {
    let Some(items) = value.get_ref().as_array() else {
        reader.wrong_type(path, value, "a list of quoted strings");
        return None;
    };
    let read: Vec<_> = items.iter().map(|item| choice(reader, path, item)).collect();
    if items.is_empty() {
        reader.invalid_value(path, value, "the list is empty; remove the key, or write at least one word");
    }
    read.into_iter().collect::<Option<Vec<T>>>().map(|read| read.into_iter().collect_set())
}

fn names(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> BTreeSet<Name> {
    let read = reader.names(path, value).map(|names| names.value).unwrap_or_default();
    read.into_iter().collect_set()
}

fn actions(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> BTreeSet<Action> {
    let known: Vec<_> =
        Action::ALL.iter().filter(|action| action.creates_job()).map(Action::as_str).collect();
    let mut actions = BTreeSet::new();
    for text in reader.strings(path, value).into_iter().flat_map(|texts| texts.value) {
        if known.contains(&&*text) {
            actions.insert(Action::from(text));
        } else {
            reader.invalid_value(path, value, unknown_word(&text, &known));
        }
    }
    actions
}

fn room(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<String> {
    let room = reader.string(path, value)?.value;
    if !room.starts_with('!') {
        let reason = "expected the id of a room, which starts with `!`; the settings of the room show it";
        reader.invalid_value(path, value, reason);
        return None;
    }
    Some(room)
}

fn tags(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<Vec<String>> {
    reader.strings(path, value).map(|tags| tags.value)
}

/// A table with a value for each result.
fn by_result<T>(
    reader: &mut ConfigReader<'_>,
    path: &str,
    value: &TomlValue<'_>,
    read: impl Fn(&mut ConfigReader<'_>, &str, &TomlValue<'_>) -> Option<T>,
) -> BTreeMap<NotifyResult, T> {
    let mut values = BTreeMap::new();
    for (key, value) in reader.table(path, value).into_iter().flatten() {
        match key.get_ref().parse() {
            Ok(result) => {
                if let Some(read) = read(reader, &format!("{path}.{}", key.get_ref()), value) {
                    values.insert(result, read);
                }
            }
            Err(_) => reader.unknown_key(key, path, NotifyResult::VARIANTS),
        }
    }
    values
}

/// The path of a file with a secret. `%d/` is the directory of systemd's credentials.
fn secret_path(reader: &mut ConfigReader<'_>, path: &str, value: &TomlValue<'_>) -> Option<PathBuf> {
    if let Some(text) = value.get_ref().as_str().filter(|text| text.starts_with("%d/")) {
        return Some(PathBuf::from(text));
    }
    reader.path(path, value).map(|path| path.value)
}

/// Checks the URL of a target. Errors do not repeat it.
pub(super) fn check_url(url: &str, kind: TargetKind, insecure_http: bool) -> Result<(), String> {
    let is_printable = url.bytes().all(|b| b.is_ascii_graphic());
    let parts = UrlParts::of(url)
        .filter(|parts| matches!(parts.scheme, "http" | "https") && !parts.host.is_empty() && is_printable);
    let Some(parts) = parts.filter(|_| !url.contains('#')) else {
        return Err("expected a URL such as https://ntfy.example.org/TOPIC".to_owned());
    };
    if parts.userinfo.is_some() {
        return Err("it contains a user name or a password: use token_file".to_owned());
    }
    if parts.scheme == "http" && !is_loopback(parts.host) && !insecure_http {
        return Err("without TLS, others can read the notifications and the token: use https://, or set \
                    insecure_http = true"
            .to_owned());
    }
    if kind == TargetKind::Ntfy && ntfy_topic(url).is_none() {
        return Err(
            "expected a URL that ends with the topic, such as https://ntfy.example.org/TOPIC".to_owned()
        );
    }
    Ok(())
}

/// The server and the topic of an ntfy URL.
pub(super) fn ntfy_topic(url: &str) -> Option<(&str, &str)> {
    let (server, topic) = url.rsplit_once('/')?;
    let is_topic =
        !topic.is_empty() && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    (is_topic && server.contains("://") && !server.ends_with('/')).then_some((server, topic))
}
