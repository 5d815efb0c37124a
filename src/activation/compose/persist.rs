//! Persist: records the generation, and removes images that no kept generation names. A failure here is a note in the report.

use super::deployment_state::{DeploymentState, ServiceOutcome};
use super::generations::Generations;
use super::run::ComposeRun;
use super::system_of;
use crate::activation::{JobEvent, JobResult};
use crate::ordered::CollectOrdered;
use crate::protocol::{Action, PhaseName};
use std::collections::BTreeMap;

impl ComposeRun {
    pub(super) async fn persist(&self, state: &mut DeploymentState) -> JobResult {
        self.enter("complete", PhaseName::Persist).await;
        self.release_space(state).await;
        self.send(JobEvent::System(system_of(&state.commit))).await;
        let state_dir = self.engine.state_dir();
        let mut generations = Generations::read(&state_dir);
        // A job about some services leaves the others as they are in the current generation.
        let mut services: BTreeMap<String, BTreeMap<String, String>> =
            generations.current().map(|current| current.services.clone()).unwrap_or_default();
        services.retain(|name, _| state.assigned.contains(name));
        let mut containers = self.engine.docker.all_containers().await;
        for service in &state.services {
            if service.done == Some(ServiceOutcome::Removed) {
                services.remove(&service.name);
                generations.mounted.remove(&service.name);
                generations.configs.remove(&service.name);
                continue;
            }
            generations.mounted.insert(service.name.clone(), service.mounted.clone());
            if let Some(config) = &service.config {
                generations.configs.insert(service.name.clone(), config.clone());
            }
            if let Ok(containers) = &mut containers {
                let containers = containers.remove(&service.name).unwrap_or_default();
                let images = containers.into_iter().map(|container| (container.service, container.image));
                services.insert(service.name.clone(), images.collect_map());
            }
        }
        if let Err(error) = containers {
            self.note(state, format!("the images of the services could not be recorded: {error}")).await;
        }
        let unneeded = generations.push(state, &self.job.request.id, services);
        match generations.save(&state_dir) {
            Ok(()) => {
                for image in unneeded {
                    // Fails if a container or another tag uses it.
                    if self.engine.docker.remove_image(&image).await.unwrap_or(false) {
                        self.log(&format!("removed the image {image}, which no kept generation uses")).await;
                    }
                }
            }
            Err(error) => self.note(state, format!("the generation could not be recorded: {error}")).await,
        }
        let mut number = None;
        if let Some(current) = generations.current() {
            self.stages.generation(current);
            number = Some(current.number);
            self.send(JobEvent::Generation(current.number)).await;
        }
        self.stages.complete("complete");
        Ok(self.message(state, number))
    }

    fn message(&self, state: &DeploymentState, number: Option<u64>) -> String {
        let services_with = |outcome: ServiceOutcome| -> Vec<&str> {
            let done = state.services.iter().filter(|service| service.done == Some(outcome));
            done.map(|service| service.name.as_str()).collect()
        };
        let mut parts = Vec::new();
        for (outcome, text) in [
            (ServiceOutcome::Changed, "changed"),
            (ServiceOutcome::Removed, "removed"),
            (ServiceOutcome::Stopped, "left stopped"),
        ] {
            let names = services_with(outcome);
            if !names.is_empty() {
                parts.push(format!("{text}: {}", names.join(", ")));
            }
        }
        parts.push(format!("{} unchanged", services_with(ServiceOutcome::Unchanged).len()));
        let action = match self.job.request.action {
            Action::Resume => "resume".to_owned(),
            ref action => action.to_string(),
        };
        let number = number.map_or_else(String::new, |number| format!(", generation {number}"));
        let mut message = format!("{action} done{number}: {}", parts.join("; "));
        for note in &state.notes {
            message = format!("{message}; {note}");
        }
        message
    }
}
