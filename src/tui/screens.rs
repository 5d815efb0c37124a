//! The screens that lie over the fleet screen, one on the other; stepping back takes the last one away.

mod host;
mod log;

pub use host::{HistoryState, HostScreen, Item};
pub(super) use log::TIME;
pub use log::{LogScreen, LogText, Place, Search, Typing};

use super::Context;
use crate::protocol::Name;

/// A screen over the fleet screen.
#[derive(Debug)]
pub enum Screen {
    /// One host.
    Host(HostScreen),
    /// One log.
    Log(Box<LogScreen>),
}

impl Screen {
    /// Where keys go while nothing lies over it.
    pub fn context(&self) -> Context {
        match self {
            Self::Host(_) => Context::Host,
            Self::Log(screen) if screen.typing.is_some() => Context::Search,
            Self::Log(_) => Context::Log,
        }
    }

    /// The host that it shows.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(screen) => Some(&screen.host),
            Self::Log(screen) => Some(&screen.key.host),
        }
    }

    /// The screen of a host, where it is that.
    pub fn as_host(&self) -> Option<&HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            Self::Log(_) => None,
        }
    }

    /// The same, to be changed.
    pub fn as_host_mut(&mut self) -> Option<&mut HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
            Self::Log(_) => None,
        }
    }

    /// What it is called in the path at the top.
    pub fn title(&self) -> String {
        match self {
            Self::Host(screen) => screen.host.to_string(),
            Self::Log(_) => "log".to_owned(),
        }
    }
}
