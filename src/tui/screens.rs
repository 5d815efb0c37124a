//! The screens above the fleet screen; stepping back removes the last one.

mod builds;
mod changes;
mod deployments;
mod events;
mod heat_class;
mod heat_map;
mod host;
mod log;
mod logs;
mod timeline;

pub use builds::{BuildScreen, BuildsScreen};
pub use changes::{ChangeRow, ChangesScreen};
pub use deployments::{DeploymentScreen, DeploymentsScreen, Failures};
pub use events::{EventsScreen, FeedRow};
pub use heat_class::{HeatClass, HeatKey};
pub use heat_map::HeatMapScreen;
pub use host::{HistoryState, HostScreen, Item};
pub(super) use log::TIME_WIDTH;
pub use log::{DiagnosticsState, LogPosition, LogScreen, LogText, Search, SearchInput};

pub use logs::{HostLogLine, LineFilter, LogsScreen};
pub(super) use timeline::SCALES;
pub use timeline::{TimelineRow, TimelineScreen};

use super::{App, Context, view};
use crate::protocol::Name;

/// A screen above the fleet screen.
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
    /// The timeline of a deployment.
    Timeline(Box<TimelineScreen>),
    /// All listed hosts as cells.
    HeatMap(Box<HeatMapScreen>),
    /// The event feed.
    Events(Box<EventsScreen>),
    /// The changes of a deployment.
    Changes(Box<ChangesScreen>),
    /// The logs of several hosts.
    Logs(Box<LogsScreen>),
    /// One log.
    Log(Box<LogScreen>),
}

impl Screen {
    /// Context for keys, if no dialog is open.
    pub fn context(&self) -> Context {
        match self {
            Self::Host(_) => Context::Host,
            Self::Deployments(_) => Context::Deployments,
            Self::Deployment(_) => Context::Deployment,
            Self::Builds(_) => Context::Builds,
            Self::Build(_) => Context::Build,
            Self::Timeline(_) => Context::Timeline,
            Self::HeatMap(_) => Context::HeatMap,
            Self::Events(_) => Context::Events,
            Self::Changes(_) => Context::Changes,
            Self::Logs(screen) if screen.filter_input.is_some() => Context::LogsFilter,
            Self::Logs(_) => Context::Logs,
            Self::Log(screen) if screen.search_input.is_some() => Context::Search,
            Self::Log(_) => Context::Log,
        }
    }

    /// The host that the screen shows or that is selected on it.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(screen) => Some(&screen.host),
            Self::Deployments(_) | Self::Builds(_) | Self::Build(_) | Self::Logs(_) => None,
            Self::Deployment(screen) => screen.cursor.selected().map(|(host, _)| host),
            Self::Timeline(screen) => screen.host().map(|(host, _)| host),
            Self::HeatMap(screen) => screen.host(),
            Self::Events(screen) => screen.host(),
            Self::Changes(screen) => screen.host(),
            Self::Log(screen) => Some(&screen.key.host),
        }
    }

    /// Whether the screen shows the end of the log of its host.
    pub fn shows_log(&self) -> bool {
        matches!(self, Self::Host(_) | Self::HeatMap(_))
    }

    /// The host screen, if it is one.
    pub fn as_host(&self) -> Option<&HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            _ => None,
        }
    }

    /// The host screen for changes, if it is one.
    pub fn as_host_mut(&mut self) -> Option<&mut HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            _ => None,
        }
    }

    /// Title in the path at the top.
    pub fn title(&self) -> String {
        match self {
            Self::Host(screen) => screen.host.to_string(),
            Self::Deployments(_) => "deployments".to_owned(),
            Self::Deployment(screen) => screen.title.clone(),
            Self::Builds(_) => "builds".to_owned(),
            Self::Build(screen) => screen.title.clone(),
            Self::Timeline(screen) => format!("{} timeline", screen.title),
            Self::HeatMap(_) => "heat map".to_owned(),
            Self::Events(_) => "events".to_owned(),
            Self::Logs(_) => "logs".to_owned(),
            Self::Changes(screen) => format!("{} changes", screen.title),
            Self::Log(_) => "log".to_owned(),
        }
    }

    /// Updates the cached rows and the scroll position.
    pub(super) fn refresh_cache(&mut self, app: &App) {
        match self {
            Self::Host(_) => {}
            Self::Deployments(screen) => screen.refresh_cache(app),
            Self::Deployment(screen) => screen.refresh_cache(app),
            Self::Builds(screen) => screen.refresh_cache(app),
            Self::Build(screen) => screen.refresh_cache(app),
            Self::Timeline(screen) => screen.refresh_cache(app),
            Self::HeatMap(screen) => screen.refresh_cache(app),
            Self::Events(screen) => screen.refresh_cache(app),
            Self::Changes(screen) => screen.refresh_cache(app),
            Self::Logs(screen) => screen.clamp_scroll(view::logs_page(app.size)),
            Self::Log(screen) => screen.clamp_scroll(screen.page(view::log_text_area(app.size))),
        }
    }
}
