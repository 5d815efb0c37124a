//! The screens that lie over the fleet screen, one on the other; stepping back takes the last one away.

mod deployments;
mod host;

pub use deployments::{DeploymentScreen, DeploymentsScreen, Failures};
pub use host::HostScreen;

use super::{App, Context};
use crate::protocol::Name;

/// A screen over the fleet screen.
#[derive(Debug)]
pub enum Screen {
    /// One host.
    Host(HostScreen),
    /// All deployments.
    Deployments(DeploymentsScreen),
    /// One deployment.
    Deployment(DeploymentScreen),
}

impl Screen {
    /// Where keys go while nothing lies over it.
    pub fn context(&self) -> Context {
        match self {
            Self::Host(_) => Context::Host,
            Self::Deployments(_) => Context::Deployments,
            Self::Deployment(_) => Context::Deployment,
        }
    }

    /// The host that it shows.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(screen) => Some(&screen.host),
            Self::Deployments(_) | Self::Deployment(_) => None,
        }
    }

    /// What it is called in the path at the top.
    pub fn title(&self) -> String {
        match self {
            Self::Host(screen) => screen.host.to_string(),
            Self::Deployments(_) => "deployments".to_owned(),
            Self::Deployment(screen) => screen.title.clone(),
        }
    }

    /// Brings what it has cached up to date.
    pub(super) fn settle(&mut self, app: &App) {
        match self {
            Self::Host(_) => {}
            Self::Deployments(screen) => screen.settle(app),
            Self::Deployment(screen) => screen.settle(app),
        }
    }
}
