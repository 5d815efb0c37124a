//! The way to the fleet with one key.

use super::error::ToolError;
use crate::bus::LinkError;
use crate::deployer::{Discovery, Operator};
use crate::protocol::Name;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long a call waits for the link to come up.
const LINK_WITHIN: Duration = Duration::from_secs(3);

/// A connection with one key, and the hosts that were seen over it. Calls at the same time do not wait for each other.
pub struct Access(Mutex<Operator>);

impl Access {
    /// The way of an operator, who is called `mcp` in the hosts' histories.
    pub fn new(operator: Operator) -> Self {
        Self(Mutex::new(Operator { issuer: "mcp".to_owned(), ..operator }))
    }

    /// The operator, once the link is up.
    pub(super) async fn operator(&self) -> Result<Operator, ToolError> {
        let operator = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut link = operator.bus.link();
        if timeout(LINK_WITHIN, link.wait_for(|link| link.up)).await.is_err() {
            let reason = operator.bus.link().borrow().reason.clone();
            return Err(LinkError::Down { reason }.into());
        }
        Ok(operator)
    }

    /// Asks who is there.
    pub(super) async fn discover(&self, tier: Option<&Name>) -> Result<(Operator, Discovery), ToolError> {
        let mut operator = self.operator().await?;
        let discovery = operator.discover(tier, None).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).roster = operator.roster.clone();
        Ok((operator, discovery))
    }
}
