//! The screen of one host.

use crate::protocol::Name;

/// One host.
#[derive(Debug)]
pub struct HostScreen {
    /// Which.
    pub host: Name,
}
