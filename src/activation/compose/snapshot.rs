//! What was read about all services at once. One call of docker for all is much faster than one for each, and the calls that are for
//! one service only are independent.

use super::deployment_state::{DeploymentState, ServiceDeployment};
use super::inspect::{DesiredService, KnownProject};
use super::run::ComposeRun;
use super::service_configs::parallel;
use crate::compose::{Container, DockerError, Project, ProjectConfig};
use crate::ordered::CollectOrdered;
use futures_util::{StreamExt as _, stream};
use std::collections::{BTreeMap, BTreeSet};

/// The containers of the host, and what its services shall be.
pub(super) struct ServiceSnapshot {
    /// `None` after a change.
    containers: Option<BTreeMap<String, Vec<Container>>>,
    /// Without those that could not be read.
    desired: BTreeMap<String, (Project, DesiredService)>,
}

impl ServiceSnapshot {
    /// Whether containers have changed since they were read.
    pub(super) fn is_changed(&self) -> bool {
        self.containers.is_none()
    }

    /// Forgets the containers, because some of them change.
    pub(super) fn forget_containers(&mut self) {
        self.containers = None;
    }
}

impl ComposeRun {
    /// Reads the services of a job. `configs` are the configurations that are known. What cannot be read is read again when its service
    /// is deployed.
    pub(super) async fn snapshot(
        &self,
        state: &DeploymentState,
        mut configs: BTreeMap<String, ProjectConfig>,
    ) -> ServiceSnapshot {
        let services: Vec<&ServiceDeployment> =
            state.services.iter().filter(|service| !service.removed).collect();
        let mut images: BTreeSet<String> = BTreeSet::new();
        for service in &services {
            images.extend(service.images.values().cloned());
            let config = configs.get(&service.name).into_iter().flat_map(|config| &config.services);
            images.extend(config.map(|(name, config)| config.image(&service.name, name)));
        }
        let (containers, image_ids) =
            tokio::join!(self.engine.docker.all_containers(), self.engine.docker.image_ids(images));
        let (containers, image_ids) = (containers.ok(), image_ids.ok());
        let mut calls = Vec::new();
        for service in services {
            let config = configs.remove(&service.name);
            // Those in the state of a resumed job may be those of another `.env` file.
            let hashes = service.config.as_ref().filter(|_| config.is_some()).map(|known| &known.hashes);
            let known = KnownProject { config, hashes, image_ids: image_ids.as_ref() };
            calls.push(self.read_desired(service, known));
        }
        let found: Vec<_> = stream::iter(calls).buffer_unordered(parallel()).collect().await;
        let desired = found.into_iter().filter_map(Result::ok);
        ServiceSnapshot { containers, desired: desired.map(|read| (read.0.name.clone(), read)).collect_map() }
    }

    pub(super) async fn read_desired(
        &self,
        service: &ServiceDeployment,
        known: KnownProject<'_>,
    ) -> Result<(Project, DesiredService), DockerError> {
        let mut project = self.project(&service.name, &self.engine.repo_dir());
        let desired = self.desired(&mut project, &service.images, known).await?;
        Ok((project, desired))
    }

    /// The containers of a service.
    pub(super) async fn containers_now(
        &self,
        snapshot: &mut ServiceSnapshot,
        service: &str,
    ) -> Result<Vec<Container>, DockerError> {
        let all = match snapshot.containers.take() {
            Some(all) => all,
            None => self.engine.docker.all_containers().await?,
        };
        let own = all.get(service).cloned().unwrap_or_default();
        snapshot.containers = Some(all);
        Ok(own)
    }

    /// What a service shall be, with the project to bring it up.
    pub(super) async fn desired_now(
        &self,
        snapshot: &mut ServiceSnapshot,
        service: &ServiceDeployment,
    ) -> Result<(Project, DesiredService), DockerError> {
        match snapshot.desired.remove(&service.name) {
            Some(known) => Ok(known),
            None => self.read_desired(service, KnownProject::default()).await,
        }
    }
}
