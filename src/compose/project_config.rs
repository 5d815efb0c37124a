//! The configuration of a project, as `docker compose config --format json` prints it.

use crate::ordered::CollectOrdered;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// The parts of a project's configuration that decide about a deployment.
#[derive(Debug, Deserialize)]
pub struct ProjectConfig {
    /// The services of the Compose file.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceConfig>,
    configs: Option<BTreeMap<String, FileSource>>,
    secrets: Option<BTreeMap<String, FileSource>>,
    /// All of it.
    #[serde(skip)]
    json: Value,
}

/// A service of a Compose file.
#[derive(Debug, Deserialize)]
pub struct ServiceConfig {
    image: Option<String>,
    build: Option<BuildConfig>,
    /// The network mode, such as `host`.
    pub network_mode: Option<String>,
    ports: Option<Vec<PortConfig>>,
    /// The restart policy.
    pub restart: Option<String>,
    volumes: Option<Vec<VolumeConfig>>,
    configs: Option<Vec<SourceName>>,
    secrets: Option<Vec<SourceName>>,
    scale: Option<u32>,
    deploy: Option<DeployConfig>,
}

/// A port of a service.
#[derive(Debug, Deserialize)]
pub struct PortConfig {
    /// The address of the host; none for all addresses.
    pub host_ip: Option<String>,
    /// The port in the container.
    pub target: u16,
    published: Option<Value>,
    protocol: Option<String>,
}

#[derive(Debug, Deserialize)]
struct VolumeConfig {
    r#type: Option<String>,
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct BuildConfig {
    context: Option<String>,
}

#[derive(Debug, Deserialize)]
struct DeployConfig {
    replicas: Option<u32>,
    restart_policy: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct FileSource {
    file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct SourceName {
    source: Option<String>,
}

impl ProjectConfig {
    /// Reads what Compose prints.
    pub(super) fn of(json: Value) -> Result<Self, serde_json::Error> {
        Ok(Self { json: json.clone(), ..serde_json::from_value(json)? })
    }

    /// The same configuration in another work tree.
    pub fn moved(&self, from: &Path, to: &Path) -> Result<Self, serde_json::Error> {
        Self::of(with_root_replaced(self.json.clone(), from, &to.to_string_lossy()))
    }

    /// The directories whose files images are built from.
    pub fn build_contexts(&self) -> BTreeSet<PathBuf> {
        let builds = self.services.values().filter_map(|service| service.build.as_ref());
        builds.filter_map(|build| build.context.as_ref().map(PathBuf::from)).collect_set()
    }

    /// A digest that is independent of which of these work trees the configuration was read from. It includes the contents of configs and
    /// secrets.
    pub fn digest(&self, trees: [&Path; 2]) -> String {
        let portable =
            trees.into_iter().fold(self.json.clone(), |json, tree| with_root_replaced(json, tree, ""));
        let mut hasher = DefaultHasher::new();
        portable.to_string().hash(&mut hasher);
        for source in [&self.configs, &self.secrets].into_iter().flatten().flat_map(BTreeMap::values) {
            source.file.as_ref().and_then(|file| fs::read(file).ok()).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// The files and directories of the host that a service of the Compose file mounts, with those of its configs and
    /// secrets.
    pub fn mounted_paths(&self, service: &str) -> Vec<PathBuf> {
        let Some(config) = self.services.get(service) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = config
            .volumes
            .iter()
            .flatten()
            .filter(|volume| volume.r#type.as_deref() == Some("bind"))
            .filter_map(|volume| volume.source.as_ref().map(PathBuf::from))
            .collect();
        for (names, sources) in [(&config.configs, &self.configs), (&config.secrets, &self.secrets)] {
            let named = names.iter().flatten().filter_map(|name| name.source.as_ref());
            let sources = named.filter_map(|name| sources.as_ref()?.get(name)?.file.clone());
            paths.extend(sources);
        }
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

impl ServiceConfig {
    /// The image of a service; Compose names the one that it builds itself.
    pub fn image(&self, project: &str, service: &str) -> String {
        self.image.clone().unwrap_or_else(|| format!("{project}-{service}"))
    }

    /// Whether Compose builds the image.
    pub fn is_built(&self) -> bool {
        self.build.is_some()
    }

    /// The ports.
    pub fn ports(&self) -> &[PortConfig] {
        self.ports.as_deref().unwrap_or_default()
    }

    /// How many containers it has.
    pub fn replicas(&self) -> u32 {
        let of_deploy = self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.scale.or(of_deploy).unwrap_or(1)
    }

    /// Whether docker starts its containers again, for example after a reboot.
    pub fn has_restart_policy(&self) -> bool {
        let of_deploy = self.deploy.as_ref().is_some_and(|deploy| deploy.restart_policy.is_some());
        of_deploy || self.restart.as_deref().is_some_and(|policy| policy != "no")
    }
}

impl PortConfig {
    /// The published ports of the host, first and last; `None` if docker chooses one.
    pub fn published(&self) -> Option<(u16, u16)> {
        let text = match self.published.as_ref()? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let (first, last) = text.split_once('-').unwrap_or((&text, &text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first > 0).then_some((first, last))
    }

    /// `tcp` or `udp`.
    pub fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or("tcp")
    }
}

/// Replaces the root of a work tree in the paths of a configuration.
fn with_root_replaced(config: Value, root: &Path, by: &str) -> Value {
    let replaced = |config| with_root_replaced(config, root, by);
    match config {
        Value::String(text) => {
            let root = root.to_string_lossy();
            let text = if text == root { by.to_owned() } else { text };
            Value::String(text.replace(&format!("{root}/"), &format!("{by}/")))
        }
        Value::Array(all) => all.into_iter().map(replaced).collect(),
        Value::Object(all) => all.into_iter().map(|(key, value)| (key, replaced(value))).collect(),
        other => other,
    }
}
