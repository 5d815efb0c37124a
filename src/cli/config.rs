//! `config`: show the effective settings and their sources, or check the file.

use super::arg_source::ArgSource;
use super::config_check::CheckArgs;
use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::render;
use super::resolved_config::ResolvedConfig;
use super::selector::ALIAS_PREFIX;
use crate::config::{Setting, SettingSource};
use crate::git::without_userinfo;
use crate::ordered::CollectOrdered;
use crate::protocol::{Name, Revision};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the effective settings and their sources
    Show(Box<ShowArgs>),
    /// Check the configuration file: contexts, key files, certificates, aliases, hosts
    Check(CheckArgs),
}

impl ConfigCommand {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        match self {
            Self::Show(args) => args.run(),
            Self::Check(args) => args.run(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    arg_source: ArgSource,
    /// Branch, tag or full commit
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// JSON form of a setting.
#[derive(Serialize)]
struct SettingJson {
    name: String,
    /// Null if unset.
    value: Value,
    /// `flag`, `environment`, `context`, `file` or `default`; null if unset.
    kind: Option<&'static str>,
    /// The flag, the variable, or the context and file.
    source: Option<String>,
    /// Line in the file, if the setting comes from one.
    line: Option<usize>,
}

impl SettingJson {
    fn new(name: &str, value: Value, source: &SettingSource) -> Self {
        let (kind, line) = (Some(source.kind()), source.location().map(|place| place.line));
        Self { name: name.to_owned(), value, kind, source: Some(source.to_string()), line }
    }

    fn of<T>(name: &str, setting: Option<&Setting<T>>, value: impl Fn(&T) -> Value) -> Self {
        match setting {
            Some(setting) => Self::new(name, value(&setting.value), &setting.source),
            None => Self { name: name.to_owned(), value: Value::Null, kind: None, source: None, line: None },
        }
    }

    fn human(&self) -> [String; 3] {
        let value = match &self.value {
            Value::Null => "not set".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(items) if items.is_empty() => "none".to_owned(),
            Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
            Value::Object(host) => ["tier", "role"]
                .into_iter()
                .filter_map(|key| host.get(key))
                .map(text)
                .collect::<Vec<_>>()
                .join(" "),
            other => other.to_string(),
        };
        [self.name.clone(), value, self.source.clone().unwrap_or_default()]
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl ShowArgs {
    fn run(self) -> Result<Exit, CommandError> {
        let mut resolved = self.connection.resolve()?;
        if let Some(branch) = self.arg_source.setting("branch", self.branch.as_ref()) {
            resolved.selected.branch = branch;
        }
        let rows = rows(&resolved)?;
        let mut out = Output::new();
        match self.output {
            Format::Json => rows.iter().for_each(|row| out.json(row)),
            Format::Human => {
                let state = if resolved.config.found { "" } else { " (does not exist)" };
                out.line(&format!("configuration: {}{state}\n", resolved.config.file.display()));
                out.line(&render::settings(rows.iter().map(SettingJson::human)));
            }
        }
        Ok(Exit::Success)
    }
}

fn rows(resolved: &ResolvedConfig) -> Result<Vec<SettingJson>, CommandError> {
    let path = |path: &PathBuf| json!(path.to_string_lossy());
    let selected = &resolved.selected;
    let servers = resolved.display_servers()?;
    let mut rows = vec![
        SettingJson::of("context", selected.context.as_ref(), |name| json!(name)),
        SettingJson::of("nats_url", resolved.nats_url.as_ref(), |_| json!(servers)),
        SettingJson::of("nkey_file", resolved.nkey_file.as_ref(), path),
        SettingJson::of("tls_ca", resolved.tls_ca.as_ref(), path),
        SettingJson::of("tls_cert", resolved.tls_cert.as_ref(), path),
        SettingJson::of("tls_key", resolved.tls_key.as_ref(), path),
        SettingJson::of("fleet", selected.fleet.as_ref(), path),
        SettingJson::of("fleet_name", resolved.fleet_name.as_ref(), |name| json!(name)),
        SettingJson::of("unproven", resolved.unproven.as_ref(), |unproven| json!(unproven.as_str())),
        SettingJson::of("flake_credentials", selected.flake_credentials.as_ref(), path),
        SettingJson::new("branch", json!(selected.branch.value), &selected.branch.source),
        SettingJson::new(
            "confirm_tiers",
            json!(selected.confirm_tiers.value),
            &selected.confirm_tiers.source,
        ),
        SettingJson::of("nats_hosts", selected.nats_hosts.as_ref(), |hosts| json!(hosts)),
        SettingJson::of("allowed_flakes", resolved.selected.allowed_flakes.as_ref(), |flakes| {
            json!(flakes.iter().map(|flake| without_userinfo(flake)).collect::<Vec<_>>())
        }),
        SettingJson::new("console.shell", json!(selected.shell.value), &selected.shell.source),
        SettingJson::new("console.mouse", json!(selected.mouse.value), &selected.mouse.source),
        SettingJson::new("console.title", json!(selected.title.value), &selected.title.source),
        SettingJson::new("console.progress", json!(selected.progress.value), &selected.progress.source),
        SettingJson::new("console.notify", json!(selected.notify.value), &selected.notify.source),
        SettingJson::new("console.bell", json!(selected.bell.value), &selected.bell.source),
    ];
    let console = resolved.config.console();
    for (name, columns) in [("columns", &console.columns), ("system_columns", &console.system_columns)] {
        let names = columns.iter().map(|columns| {
            let names: Vec<_> = columns.value.iter().map(|column| &column.value).collect();
            SettingJson::new(&format!("console.{name}"), json!(names), &columns.source)
        });
        rows.extend(names);
    }
    for (table, entries) in
        [("keys", &console.keys), ("theme", &console.theme), ("aliases", &console.aliases)]
    {
        rows.extend(entries.iter().map(|entry| {
            let values: Vec<_> = entry.values.iter().map(|value| &value.value).collect();
            let name = format!("console.{table}.{}", entry.name.value);
            let value = if table == "keys" { json!(values) } else { json!(values.first()) };
            SettingJson::new(&name, value, &entry.name.source)
        }));
    }
    for (name, host) in &selected.hosts {
        let role = host.value.role.as_ref().map(Name::as_str);
        let value = match role {
            Some(role) => json!({"tier": host.value.tier, "role": role}),
            None => json!({"tier": host.value.tier}),
        };
        rows.push(SettingJson::new(&format!("hosts.{name}"), value, &host.source));
    }
    rows.extend(aliases(resolved).into_values());
    Ok(rows)
}

/// Aliases of the file and the environment, by their normalised name. The environment takes precedence.
fn aliases(resolved: &ResolvedConfig) -> BTreeMap<String, SettingJson> {
    let of_file = resolved.selected.aliases.iter().map(|(key, alias)| {
        let row = SettingJson::new(
            &format!("aliases.{}", alias.value.name),
            json!(alias.value.meaning),
            &alias.source,
        );
        (key.clone(), row)
    });
    let mut rows: BTreeMap<String, SettingJson> = of_file.collect_map();
    for (variable, meaning) in std::env::vars_os() {
        let (Some(variable), Some(meaning)) = (variable.to_str(), meaning.to_str()) else { continue };
        let Some(key) = variable.strip_prefix(ALIAS_PREFIX).filter(|_| !meaning.is_empty()) else {
            continue;
        };
        let written = resolved.selected.aliases.get(key).map(|alias| alias.value.name.clone());
        let name = written.unwrap_or_else(|| key.to_ascii_lowercase().replace('_', "-"));
        let source = SettingSource::Variable(variable.to_owned());
        rows.insert(key.to_owned(), SettingJson::new(&format!("aliases.{name}"), json!(meaning), &source));
    }
    rows
}
