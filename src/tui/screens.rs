//! The screens that lie over the fleet screen, one on the other; stepping back takes the last one away.

mod builds;
mod deployments;
mod host;
mod log;

pub use builds::{BuildScreen, BuildsScreen};
pub use deployments::{DeploymentScreen, DeploymentsScreen, Failures};
pub use host::{HistoryState, HostScreen, Item};
pub(super) use log::TIME;
pub use log::{Diagnostics, LogScreen, LogText, Place, Search, Typing};

use super::{App, Context, view};
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
    /// The builder's builds.
    Builds(BuildsScreen),
    /// One build.
    Build(BuildScreen),
    /// One log.
    Log(Box<LogScreen>),
}

impl Screen {
    /// Where keys go while nothing lies over it.
    pub fn context(&self) -> Context {
        match self {
            Self::Host(_) => Context::Host,
            Self::Deployments(_) => Context::Deployments,
            Self::Deployment(_) => Context::Deployment,
            Self::Builds(_) => Context::Builds,
            Self::Build(_) => Context::Build,
            Self::Log(screen) if screen.typing.is_some() => Context::Search,
            Self::Log(_) => Context::Log,
        }
    }

    /// The host that it shows, or that is selected there.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(screen) => Some(&screen.host),
            Self::Deployments(_) | Self::Builds(_) | Self::Build(_) => None,
            Self::Deployment(screen) => screen.cursor.selected().map(|(host, _)| host),
            Self::Log(screen) => Some(&screen.key.host),
        }
    }

    /// The screen of a host, where it is that.
    pub fn as_host(&self) -> Option<&HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn as_host_mut(&mut self) -> Option<&mut HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            _ => None,
        }
    }

    /// What it is called in the path at the top.
    pub fn title(&self) -> String {
        match self {
            Self::Host(screen) => screen.host.to_string(),
            Self::Deployments(_) => "deployments".to_owned(),
            Self::Deployment(screen) => screen.title.clone(),
            Self::Builds(_) => "builds".to_owned(),
            Self::Build(screen) => screen.title.clone(),
            Self::Log(_) => "log".to_owned(),
        }
    }

    /// Brings what it has cached up to date.
    pub(super) fn settle(&mut self, app: &App) {
        match self {
            Self::Host(_) => {}
            Self::Deployments(screen) => screen.settle(app),
            Self::Deployment(screen) => screen.settle(app),
            Self::Builds(screen) => screen.settle(app),
            Self::Build(screen) => screen.settle(app),
            Self::Log(screen) => screen.settle(screen.page(view::log_room(app.size))),
        }
    }
}
