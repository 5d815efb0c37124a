//! The screens that lie over the fleet screen, one on the other; stepping back takes the last one away.

mod host;

pub use host::{HistoryState, HostScreen, Item};

use super::Context;
use crate::protocol::Name;

/// A screen over the fleet screen.
#[derive(Debug)]
pub enum Screen {
    /// One host.
    Host(HostScreen),
}

impl Screen {
    /// Where keys go while nothing lies over it.
    pub fn context(&self) -> Context {
        match self {
            Self::Host(_) => Context::Host,
        }
    }

    /// The host that it shows.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Host(screen) => Some(&screen.host),
        }
    }

    /// The screen of a host, where it is that.
    pub fn as_host(&self) -> Option<&HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
        }
    }

    /// The same, to be changed.
    pub fn as_host_mut(&mut self) -> Option<&mut HostScreen> {
        match self {
            Self::Host(screen) => Some(screen),
        }
    }

    /// What it is called in the path at the top.
    pub fn title(&self) -> String {
        match self {
            Self::Host(screen) => screen.host.to_string(),
        }
    }
}
