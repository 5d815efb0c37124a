//! The components of a host, such as the services of a host with Docker Compose, and their state in a job.

use super::codec;
use super::open_enum::open_enum;
use super::report::truncate_list;
use crate::text::fitting_prefix;
use serde::{Deserialize, Serialize};

/// The maximum number of components in a report.
pub const MAX_COMPONENTS: usize = 200;
/// The maximum size of a component's message, in encoded bytes.
const MAX_COMPONENT_TEXT: usize = 512;
/// The maximum size of a component's name, in encoded bytes.
const MAX_COMPONENT_NAME: usize = 64;

open_enum! {
    /// The kind of a listener's engine, if it does not deploy complete systems.
    EngineKind {
        /// The host runs the services of a git repository with Docker Compose.
        Compose = "compose",
    }
}

open_enum! {
    /// The state of a component in a job.
    ComponentState {
        /// The job has not reached the component.
        Pending = "pending",
        /// The job is working on the component.
        Running = "running",
        /// The component was changed.
        Done = "done",
        /// The component failed.
        Failed = "failed",
        /// The component was not needed, or was not reached.
        Skipped = "skipped",
        /// The component was as requested, and was not touched.
        Unchanged = "unchanged",
    }
}

impl ComponentState {
    /// Whether the job is past the component.
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A component of a host, with its state in a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// The name of the component.
    pub name: String,
    /// The state of the component.
    pub state: ComponentState,
    /// How long the job has worked on the component, in milliseconds; 0 if it has not started.
    #[serde(default, deserialize_with = "codec::null_as_default")]
    pub elapsed_ms: u64,
    /// Why the component has this state; empty if the state explains itself.
    #[serde(default, deserialize_with = "codec::null_as_default", skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Component {
    /// Creates a component without a message.
    pub fn new(name: impl Into<String>, state: ComponentState) -> Self {
        Self { name: name.into(), state, elapsed_ms: 0, message: String::new() }
    }

    fn truncate(&mut self, max_text: usize) {
        self.name.truncate(fitting_prefix(&self.name, MAX_COMPONENT_NAME).len());
        self.message.truncate(fitting_prefix(&self.message, max_text).len());
    }
}

/// The components of a job, in the sequence in which the job handles them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Components(#[serde(deserialize_with = "codec::list")] pub Vec<Component>);

impl Components {
    /// Whether no components are known, as in the reports of a host that deploys complete systems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a component, or replaces the one with its name. Long texts are truncated, and components beyond
    /// [`MAX_COMPONENTS`] are dropped. Returns whether the state of the component is a new one.
    pub fn update(&mut self, mut component: Component) -> bool {
        component.truncate(MAX_COMPONENT_TEXT);
        if let Some(known) = self.0.iter_mut().find(|known| known.name == component.name) {
            let is_new = known.state != component.state;
            *known = component;
            return is_new;
        }
        let fits = self.0.len() < MAX_COMPONENTS;
        if fits {
            self.0.push(component);
        }
        fits
    }

    /// The running component, with its position from 1.
    pub fn running(&self) -> Option<(usize, &Component)> {
        let running = |(_, component): &(usize, &Component)| component.state == ComponentState::Running;
        self.0.iter().enumerate().find(running).map(|(at, component)| (at + 1, component))
    }

    /// The components that the job has changed, also those that were rolled back. Those that it has not touched took no time.
    pub fn changed(&self) -> impl Iterator<Item = &Component> {
        self.0.iter().filter(|component| match component.state {
            ComponentState::Done | ComponentState::Failed => true,
            ComponentState::Skipped => component.elapsed_ms > 0,
            _ => false,
        })
    }

    /// The components that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Component> {
        self.0.iter().filter(|component| component.state == ComponentState::Failed)
    }

    /// Ends the running component with `state`; pending ones are skipped.
    pub fn end(&mut self, state: &ComponentState) {
        for component in &mut self.0 {
            match component.state {
                ComponentState::Running => component.state = state.clone(),
                ComponentState::Pending => component.state = ComponentState::Skipped,
                _ => {}
            }
        }
    }

    /// Keeps the first components that fit into `max` encoded bytes, with messages of at most `max_text` of them.
    pub(super) fn truncate(&mut self, max: usize, max_text: usize) {
        for component in &mut self.0 {
            component.truncate(max_text);
        }
        truncate_list(&mut self.0, max);
    }

    /// Keeps at most `count` components with names and messages of at most `max_text` bytes.
    pub(crate) fn limit(&mut self, count: usize, max_text: usize) {
        self.0.truncate(count);
        for component in &mut self.0 {
            component.truncate(max_text);
        }
    }
}
