//! Calls docker and Docker Compose, and reads the files that describe the services of a host.
//!
//! A service is a directory of the repository with one Compose project; its containers are those of that project.
//!
//! See ARCHITECTURE.md, "Docker Compose hosts".

mod change_command;
mod container;
mod dependency_order;
mod docker;
mod env_file;
mod error;
mod exposure;
mod host_file;
mod pins;
mod project;
mod project_config;
mod published_ports;
mod topology;
mod yaml;

pub use change_command::{ChangeCommand, ChangeEnd, ChangeLock};
pub use container::{Container, Health};
pub use dependency_order::{OrderError, order_services};
pub use docker::Docker;
pub use env_file::EnvFile;
pub use error::DockerError;
pub use exposure::{Exposure, ExposureIssue, ExposurePolicy, judge_exposure};
pub use host_file::{AssignedService, HostFile, ServiceFile, ServiceSettings};
pub use pins::ImagePins;
pub use project::Project;
pub use project_config::{PortConfig, ProjectConfig, ServiceConfig};
pub use published_ports::port_conflicts;
pub use topology::{Node, Topology};
pub use yaml::{YamlError, YamlFile};
