//! Compares a service with its containers.

use super::deployment_state::{PreviousContainer, ServiceDeployment};
use super::run::ComposeRun;
use crate::compose::{Container, DockerError, ImagePins, Project, ProjectConfig};
use crate::ordered::CollectOrdered;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What a service shall be.
pub(super) struct DesiredService {
    /// The configuration.
    pub(super) config: ProjectConfig,
    /// The hash of each service of the Compose file, without pins.
    pub(super) hashes: BTreeMap<String, String>,
    /// Whether the hashes were not computed again, because the configuration is the one that was deployed last.
    pub(super) is_remembered: bool,
    /// The hash of each service of the Compose file with pins, if there are any.
    pinned_hashes: BTreeMap<String, String>,
    /// The image id of each service of the Compose file; `None` if the image is not here.
    images: BTreeMap<String, Option<String>>,
}

/// What is known about a project before it is compared with its containers.
#[derive(Default)]
pub(super) struct KnownProject<'a> {
    /// The configuration.
    pub(super) config: Option<ProjectConfig>,
    /// The hash of each service of the Compose file, if it is the configuration that was deployed last.
    pub(super) hashes: Option<&'a BTreeMap<String, String>>,
    /// The ids of images, by name.
    pub(super) image_ids: Option<&'a BTreeMap<String, Option<String>>>,
}

impl ComposeRun {
    /// Reads what a service shall be. `images` are the image ids of an earlier generation; the project is pinned to those that its
    /// tags do not name. `known` is what was read before.
    pub(super) async fn desired(
        &self,
        project: &mut Project,
        images: &BTreeMap<String, String>,
        known: KnownProject<'_>,
    ) -> Result<DesiredService, DockerError> {
        let docker = &self.engine.docker;
        let config = match known.config {
            Some(config) => config,
            None => docker.config(project).await?,
        };
        let mut ids = BTreeMap::new();
        let mut pins = ImagePins::default();
        for (name, service) in &config.services {
            let found = self.image_id(&service.image(&project.name, name), known.image_ids).await?;
            match images.get(name) {
                Some(wanted) if found.as_ref() != Some(wanted) => {
                    pins.0.insert(name.clone(), wanted.clone());
                    ids.insert(name.clone(), self.image_id(wanted, known.image_ids).await?);
                }
                _ => drop(ids.insert(name.clone(), found)),
            }
        }
        let (hashes, is_remembered) = match known.hashes.filter(|hashes| !hashes.is_empty()) {
            Some(hashes) => (hashes.clone(), true),
            None => (docker.hashes(project).await?, false),
        };
        let mut pinned_hashes = BTreeMap::new();
        if !pins.is_empty() {
            let file = self.job.dir.path().join(format!("pins-{}.yml", project.name));
            pins.write(&file).map_err(|error| DockerError::Io("docker compose".to_owned(), error.source))?;
            project.pin_file = Some(file);
            pinned_hashes = docker.hashes(project).await?;
        }
        Ok(DesiredService { config, hashes, is_remembered, pinned_hashes, images: ids })
    }

    async fn image_id(
        &self,
        image: &str,
        known: Option<&BTreeMap<String, Option<String>>>,
    ) -> Result<Option<String>, DockerError> {
        match known.and_then(|known| known.get(image)) {
            Some(id) => Ok(id.clone()),
            None => self.engine.docker.image_id(image).await,
        }
    }

    /// The git objects of the mounted files of a service, by path in the repository. Compose does not notice if their content changes.
    pub(super) async fn mounted_objects(
        &self,
        commit: &str,
        root: &Path,
        config: &ProjectConfig,
    ) -> BTreeMap<String, String> {
        let paths = config.services.keys().flat_map(|service| config.mounted_paths(service)).collect_set();
        self.objects(commit, root, paths).await
    }

    /// The git objects of paths in a work tree, by path in the repository. Paths that are not in the repository are left out.
    pub(super) async fn objects(
        &self,
        commit: &str,
        root: &Path,
        paths: BTreeSet<PathBuf>,
    ) -> BTreeMap<String, String> {
        let mut objects = BTreeMap::new();
        let paths: Vec<String> = paths
            .iter()
            .filter_map(|path| path.strip_prefix(root).ok()?.to_str().map(str::to_owned))
            .collect();
        if paths.is_empty() {
            return objects;
        }
        let Ok(tree) = self.open_tree().await else { return objects };
        for path in paths {
            if let Some(object) = tree.object(commit, &path).await {
                objects.insert(path, object);
            }
        }
        objects
    }
}

impl DesiredService {
    /// How the containers differ from what they shall be; `None` if they do not.
    pub(super) fn difference(&self, state: &ServiceDeployment, containers: &[Container]) -> Option<String> {
        for (name, service) in &self.config.services {
            let own: Vec<&Container> =
                containers.iter().filter(|container| container.service == *name).collect();
            if own.len() != service.replicas() as usize {
                return Some(match own.len() {
                    0 => format!("{name} has no container"),
                    count => format!("{name} has {count} of {} containers", service.replicas()),
                });
            }
            for container in own {
                let known = [self.hashes.get(name), self.pinned_hashes.get(name)];
                if container.config_hash.is_none() || !known.contains(&container.config_hash.as_ref()) {
                    return Some(format!("the configuration of {name} differs"));
                }
                if self.images.get(name).and_then(Option::as_ref) != Some(&container.image) {
                    return Some(format!("the image of {name} differs"));
                }
                if container.is_leftover() {
                    return Some(format!("{name} was left unfinished"));
                }
                let ran = state.old.iter().any(|old| old.service == *name && old.running);
                let never_started = container.status == "created" && !state.stopped_by_hand.contains(name);
                if !container.is_running() && (ran || never_started) && !container.is_finished() {
                    return Some(format!("{name} does not run: {}", container.describe()));
                }
            }
        }
        let is_orphan = |container: &&Container| !self.config.services.contains_key(&container.service);
        containers
            .iter()
            .find(is_orphan)
            .map(|container| format!("{} is not needed any more", container.name))
    }
}

/// The state of a service before a job. `known_stopped` are the services of the Compose file that the last deployment created without
/// starting them, because they were stopped by hand.
pub(super) fn previous_state(
    name: &str,
    containers: &[Container],
    known_stopped: &[String],
) -> ServiceDeployment {
    // A Compose that was killed has stopped containers that it was about to replace.
    let was_interrupted = containers.iter().any(Container::is_leftover);
    let containers: Vec<&Container> =
        containers.iter().filter(|container| !container.is_leftover()).collect();
    let runs = containers.iter().any(|container| container.is_running());
    let services: BTreeSet<&String> = containers.iter().map(|container| &container.service).collect_set();
    let is_stopped = |service: &&&String| {
        let mut own = containers.iter().filter(|container| container.service == ***service);
        // A container that docker keeps running is down only because it was stopped. Others may just have ended.
        own.all(|container| match container.status.as_str() {
            "created" => known_stopped.contains(&container.service),
            "exited" | "dead" => container.is_kept_running() || (!runs && container.was_ended()),
            _ => false,
        })
    };
    let all_finished = containers.iter().all(|container| container.is_finished());
    let stopped_by_hand: Vec<String> = if was_interrupted || all_finished {
        Vec::new()
    } else {
        services.iter().filter(is_stopped).map(|service| (*service).clone()).collect()
    };
    let is_well = |container: &&Container| {
        let runs = container.is_running() && container.status != "restarting";
        (runs && container.health != Some(crate::compose::Health::Unhealthy)) || container.is_finished()
    };
    ServiceDeployment {
        name: name.to_owned(),
        was_well: !containers.is_empty() && containers.iter().all(is_well),
        old: containers.iter().map(|container| PreviousContainer::of(container)).collect(),
        stopped_by_hand,
        ..ServiceDeployment::default()
    }
}
