//! Dry-activate: shows which services a deployment would change, with their images and ports.

use super::deployment_state::ServiceDeployment;
use super::prepare::ComposePlan;
use super::run::ComposeRun;
use crate::activation::{JobEvent, JobFailure};
use crate::compose::{DockerError, ProjectConfig};
use crate::ordered::CollectOrdered;
use crate::protocol::{Changes, ComponentState, ErrorCode};
use crate::text::format::count;
use std::collections::BTreeSet;

impl ComposeRun {
    pub(super) async fn dry_activate(&self, plan: &ComposePlan) -> Result<(), JobFailure> {
        let mut changes = Changes::default();
        let mut unchanged = 0;
        for state in &plan.state.services {
            let name = &state.name;
            let differences = if state.removed {
                changes.units_stopped.push(name.clone());
                vec!["is removed".to_owned()]
            } else {
                let found = self.differences(plan, state).await;
                found.map_err(|error| {
                    JobFailure::new(ErrorCode::CheckRefused, format!("{name}: {error}; nothing was changed"))
                })?
            };
            if differences.is_empty() {
                unchanged += 1;
                self.component(name, ComponentState::Unchanged, None, "").await;
                continue;
            }
            for difference in &differences {
                self.log(&format!("{name}: {difference}")).await;
            }
            match state.existed() {
                _ if state.removed => {}
                true => changes.units_restarted.push(name.clone()),
                false => changes.units_started.push(name.clone()),
            }
            let message = format!("would change: {}", differences.join("; "));
            self.component(name, ComponentState::Skipped, None, &message).await;
        }
        let names: Vec<&str> = [&changes.units_started, &changes.units_restarted, &changes.units_stopped]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let list = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        let would = count(names.len(), "service");
        let mut message = format!("dry-activate done: {would} would change{list}, {unchanged} unchanged");
        for note in &plan.state.notes {
            message = format!("{message}; {note}");
        }
        let message = self.redact(&message);
        self.send(JobEvent::Changes(Box::new(changes))).await;
        self.send(JobEvent::Note(message)).await;
        Ok(())
    }

    /// What would change about a service.
    async fn differences(
        &self,
        plan: &ComposePlan,
        state: &ServiceDeployment,
    ) -> Result<Vec<String>, DockerError> {
        let (docker, name) = (&self.engine.docker, &state.name);
        // The check has refused invalid configurations.
        let Some(config) = plan.configs.valid(name) else { return Ok(Vec::new()) };
        let mut differences = Vec::new();
        if !state.existed() {
            differences.push("is new".to_owned());
        } else if plan.changed.contains(name) {
            differences.push("the configuration differs".to_owned());
        }
        for (service, config) in &config.services {
            let image = config.image(name, service);
            let wanted = docker.image_id(&image).await?;
            let runs = state.old.iter().find(|old| old.service == *service);
            if let Some(runs) = runs.filter(|runs| Some(&runs.image) != wanted.as_ref()) {
                let wanted = wanted.unwrap_or_else(|| "not here".to_owned());
                differences.push(format!("image of {service}: {} → {image} ({wanted})", runs.image));
            }
        }
        let mounted = self.mounted_objects(&plan.state.commit, &plan.tree, config).await;
        for (path, object) in &mounted {
            let before = state.mounted.get(path);
            if before.is_some_and(|before| before != object) {
                differences.push(format!("the mounted {path} differs"));
            }
        }
        if !differences.is_empty() {
            let before = self.project(name, &self.engine.repo_dir());
            let before = docker.config(&before).await.ok().map(|config| ports(&config)).unwrap_or_default();
            let after = ports(config);
            differences.extend(after.difference(&before).map(|port| format!("publishes {port}")));
            differences.extend(before.difference(&after).map(|port| format!("no longer publishes {port}")));
        }
        Ok(differences)
    }
}

/// The published ports of a project.
fn ports(config: &ProjectConfig) -> BTreeSet<String> {
    let all = config.services.values().flat_map(crate::compose::ServiceConfig::ports);
    let describe = |port: &crate::compose::PortConfig| {
        let (first, _) = port.published()?;
        let address = port.host_ip.as_deref().unwrap_or("all addresses");
        Some(format!("{address} port {first}/{}", port.protocol()))
    };
    all.filter_map(describe).collect_set()
}
