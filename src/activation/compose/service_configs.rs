//! The configurations of services, as Compose reads them from the files of the repository and the host.

use super::prepare::ComposePlan;
use super::run::ComposeRun;
use crate::compose::{DockerError, Project, ProjectConfig};
use crate::ordered::CollectOrdered;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The configurations in one work tree, by service.
pub(super) struct ServiceConfigs {
    pub(super) found: BTreeMap<String, Result<ProjectConfig, DockerError>>,
    /// The programs that decide what a configuration looks like.
    programs: String,
}

impl ServiceConfigs {
    /// No configurations yet, of this version of Compose.
    pub(super) fn of_compose(version: &str) -> Self {
        let programs = format!("{} {version}", env!("CARGO_PKG_VERSION"));
        Self { found: BTreeMap::new(), programs }
    }

    /// The configuration of a service, or why it is not valid.
    pub(super) fn get(&self, service: &str) -> Option<&Result<ProjectConfig, DockerError>> {
        self.found.get(service)
    }

    /// The valid configurations, moved to another work tree.
    pub(super) fn moved(&self, from: &Path, to: &Path) -> BTreeMap<String, ProjectConfig> {
        let valid =
            self.found.iter().filter_map(|(name, config)| Some((name.clone(), config.as_ref().ok()?)));
        valid.filter_map(|(name, config)| Some((name, config.moved(from, to).ok()?))).collect_map()
    }

    /// The configuration of a service, if it is valid.
    pub(super) fn valid(&self, service: &str) -> Option<&ProjectConfig> {
        self.get(service)?.as_ref().ok()
    }
}

impl ComposeRun {
    /// Reads the configurations of services in a work tree, as many at once as there are processors.
    pub(super) async fn read_configs(
        &self,
        services: Vec<String>,
        tree: &Path,
    ) -> BTreeMap<String, Result<ProjectConfig, DockerError>> {
        let projects = services.into_iter().map(|service| self.project(&service, tree));
        let calls: Vec<_> = projects.map(|project| self.read_config(project)).collect();
        let mut configs = BTreeMap::new();
        let mut read = stream::iter(calls).buffer_unordered(parallel());
        while let Some((service, config)) = read.next().await {
            configs.insert(service, config);
        }
        configs
    }

    async fn read_config(&self, project: Project) -> (String, Result<ProjectConfig, DockerError>) {
        let config = self.engine.docker.config(&project).await;
        (project.name, config)
    }

    /// What is known about a service's configuration: its hashes only if it is the one that was deployed last.
    pub(super) async fn deployed_config(
        &self,
        service: &str,
        plan: &ComposePlan,
        last: &BTreeMap<String, DeployedConfig>,
    ) -> Option<DeployedConfig> {
        let digest = self.digest(service, &plan.configs, &plan.tree, Some(&plan.state.commit)).await?;
        let last = last.get(service).filter(|last| last.digest == digest);
        Some(DeployedConfig { hashes: last.map(|last| last.hashes.clone()).unwrap_or_default(), digest })
    }

    /// The digest of a service's configuration in a work tree with this commit.
    async fn digest(
        &self,
        service: &str,
        configs: &ServiceConfigs,
        tree: &Path,
        commit: Option<&str>,
    ) -> Option<ConfigDigest> {
        let config = configs.valid(service)?;
        let mut sources = BTreeMap::new();
        if let Some(commit) = commit {
            sources = self.objects(commit, tree, config.build_contexts()).await;
        }
        let config = config.digest([&self.scratch(), &self.engine.repo_dir()]);
        Some(ConfigDigest { programs: configs.programs.clone(), config, sources })
    }

    /// The services whose configuration differs from that of their last deployment, or if that is not known, from that in the work
    /// tree of the host.
    pub(super) async fn changed_configs(
        &self,
        plan: &ComposePlan,
        last: &BTreeMap<String, DeployedConfig>,
    ) -> BTreeSet<String> {
        let (mut changed, mut unknown) = (BTreeSet::new(), Vec::new());
        for service in &plan.services {
            let state = plan.state.services.iter().find(|state| state.name == service.name);
            let now = state.and_then(|state| state.config.as_ref()).map(|config| &config.digest);
            match last.get(&service.name).map(|last| &last.digest) {
                Some(last) if now.is_none_or(|now| now.programs == last.programs) => {
                    if now != Some(last) {
                        changed.insert(service.name.clone());
                    }
                }
                _ => unknown.push(service.name.clone()),
            }
        }
        let repo = self.engine.repo_dir();
        if plan.tree == repo {
            return changed;
        }
        let is_there = |service: &&String| self.project(service, &repo).compose_file().exists();
        let found = self.read_configs(unknown.iter().filter(is_there).cloned().collect(), &repo).await;
        let before = ServiceConfigs { found, programs: plan.configs.programs.clone() };
        for service in unknown {
            let before = self.digest(&service, &before, &repo, plan.state.old_commit.as_deref()).await;
            let state = plan.state.services.iter().find(|state| state.name == service);
            let now = state.and_then(|state| state.config.as_ref()).map(|config| &config.digest);
            if before.is_none() || before.as_ref() != now {
                changed.insert(service);
            }
        }
        changed
    }
}

/// A digest of a configuration. Those of different programs cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfigDigest {
    programs: String,
    config: String,
    /// The git objects that images are built from, by path in the repository.
    sources: BTreeMap<String, String>,
}

/// The configuration that a service is deployed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeployedConfig {
    pub(super) digest: ConfigDigest,
    /// The hash that Compose computes for each service of the Compose file; none if they are not known yet.
    pub(super) hashes: BTreeMap<String, String>,
}

/// How many programs run at once: `docker compose config` is all computation.
pub(super) fn parallel() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
