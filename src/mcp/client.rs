//! Access to the fleet with one key.

use super::result::ToolError;
use crate::client::{Discovery, Operator};
use crate::nats::NatsError;
use crate::protocol::Name;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum time that a call waits for the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection with one key, and the hosts seen over it. Concurrent calls do not block each other.
pub struct FleetClient(Mutex<Operator>);

impl FleetClient {
    /// Uses `operator` under the name `mcp`, which appears in the hosts' histories.
    pub fn new(operator: Operator) -> Self {
        Self(Mutex::new(Operator { issuer: "mcp".to_owned(), ..operator }))
    }

    /// The operator, once connected.
    pub(super) async fn operator(&self) -> Result<Operator, ToolError> {
        let operator = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut connection = operator.nats.connection_state();
        if timeout(CONNECT_TIMEOUT, connection.wait_for(|connection| connection.up)).await.is_err() {
            let reason = operator.nats.connection_state().borrow().reason.clone();
            return Err(NatsError::Disconnected { reason }.into());
        }
        Ok(operator)
    }

    /// Discovers the hosts.
    pub(super) async fn discover(&self, tier: Option<&Name>) -> Result<(Operator, Discovery), ToolError> {
        let mut operator = self.operator().await?;
        let discovery = operator.discover(tier, None).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).inventory = operator.inventory.clone();
        Ok((operator, discovery))
    }
}
