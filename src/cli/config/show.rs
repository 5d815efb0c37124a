//! `config show`: every setting that is in force, and where it comes from.

use super::super::connection::ConnectionArgs;
use super::super::effective::Effective;
use super::super::exit::{Exit, Failed};
use super::super::given::Given;
use super::super::out::{Format, Out};
use super::super::{render, targets};
use crate::config::{Setting, Source};
use crate::nix::without_userinfo;
use crate::protocol::{Name, Revision};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    #[command(flatten)]
    given: Given,
    /// Branch, tag or full commit
    #[arg(long, env = "HOMELAB_DEPLOY_BRANCH")]
    branch: Option<Revision>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A setting as JSON.
#[derive(Serialize)]
struct Shown {
    name: String,
    /// Null where it is not set.
    value: Value,
    /// `flag`, `environment`, `context`, `file` or `default`; null where it is not set.
    kind: Option<&'static str>,
    /// Which flag, variable, or context in which file.
    source: Option<String>,
    /// The line in the file.
    line: Option<usize>,
}

impl Shown {
    fn new(name: &str, value: Value, source: &Source) -> Self {
        let (kind, line) = (Some(source.kind()), source.place().map(|place| place.line));
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
    pub(super) fn run(self) -> Result<Exit, Failed> {
        let mut effective = self.connection.effective()?;
        if let Some(branch) = self.given.setting("branch", self.branch.as_ref()) {
            effective.chosen.branch = branch;
        }
        let rows = rows(&effective)?;
        let mut out = Out::new();
        match self.output {
            Format::Json => rows.iter().for_each(|row| out.json(row)),
            Format::Human => {
                let state = if effective.config.found { "" } else { " (there is no such file)" };
                out.line(&format!("configuration: {}{state}\n", effective.config.file.display()));
                out.line(&render::settings(rows.iter().map(Shown::human)));
            }
        }
        Ok(Exit::Done)
    }
}

fn rows(effective: &Effective) -> Result<Vec<Shown>, Failed> {
    let path = |path: &PathBuf| json!(path.to_string_lossy());
    let chosen = &effective.chosen;
    let servers = effective.shown_servers()?;
    let mut rows = vec![
        Shown::of("context", chosen.context.as_ref(), |name| json!(name)),
        Shown::of("nats_url", effective.nats_url.as_ref(), |_| json!(servers)),
        Shown::of("nkey_file", effective.nkey_file.as_ref(), path),
        Shown::of("tls_ca", effective.tls_ca.as_ref(), path),
        Shown::of("tls_cert", effective.tls_cert.as_ref(), path),
        Shown::of("tls_key", effective.tls_key.as_ref(), path),
        Shown::of("fleet", chosen.fleet.as_ref(), path),
        Shown::of("fleet_name", effective.fleet_name.as_ref(), |name| json!(name)),
        Shown::of("unproven", effective.unproven.as_ref(), |unproven| json!(unproven.as_str())),
        Shown::of("flake_credentials", chosen.flake_credentials.as_ref(), path),
        Shown::new("branch", json!(chosen.branch.value), &chosen.branch.source),
        Shown::new("confirm_tiers", json!(chosen.confirm_tiers.value), &chosen.confirm_tiers.source),
        Shown::of("broker_hosts", chosen.broker_hosts.as_ref(), |hosts| json!(hosts)),
        Shown::of("allowed_flakes", effective.chosen.allowed_flakes.as_ref(), |flakes| {
            json!(flakes.iter().map(|flake| without_userinfo(flake)).collect::<Vec<_>>())
        }),
        Shown::new("console.shell", json!(chosen.shell.value), &chosen.shell.source),
        Shown::new("console.mouse", json!(chosen.mouse.value), &chosen.mouse.source),
    ];
    for (name, host) in &chosen.hosts {
        let role = host.value.role.as_ref().map(Name::as_str);
        let value = match role {
            Some(role) => json!({"tier": host.value.tier, "role": role}),
            None => json!({"tier": host.value.tier}),
        };
        rows.push(Shown::new(&format!("hosts.{name}"), value, &host.source));
    }
    rows.extend(aliases(effective).into_values());
    Ok(rows)
}

/// Every alias, by what its spellings have in common.
fn aliases(effective: &Effective) -> BTreeMap<String, Shown> {
    let of_file = effective.chosen.aliases.iter().map(|(key, alias)| {
        let row =
            Shown::new(&format!("aliases.{}", alias.value.name), json!(alias.value.meaning), &alias.source);
        (key.clone(), row)
    });
    let mut rows: BTreeMap<String, Shown> = of_file.collect();
    for (variable, meaning) in std::env::vars_os() {
        let (Some(variable), Some(meaning)) = (variable.to_str(), meaning.to_str()) else { continue };
        let Some(key) = variable.strip_prefix(targets::VARIABLE).filter(|_| !meaning.is_empty()) else {
            continue;
        };
        let written = effective.chosen.aliases.get(key).map(|alias| alias.value.name.clone());
        let name = written.unwrap_or_else(|| key.to_ascii_lowercase().replace('_', "-"));
        let source = Source::Variable(variable.to_owned());
        rows.insert(key.to_owned(), Shown::new(&format!("aliases.{name}"), json!(meaning), &source));
    }
    rows
}
