//! Access to the fleet with one key.

use super::result::ToolError;
use crate::client::{Discovery, Inventory, Operator};
use crate::nats::{Client, NatsError};
use crate::protocol::Name;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Maximum time that a call waits for the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection with one key, and the hosts that were seen. Concurrent calls do not block each other.
pub struct FleetClient {
    operator: Operator,
    /// The current inventory, shared by the connections of all keys, so that each knows every host that is listed.
    inventory: Arc<Mutex<Inventory>>,
}

impl FleetClient {
    /// Uses `operator` under the name `mcp`, which appears in the hosts' histories.
    pub fn new(operator: Operator) -> Self {
        let inventory = Arc::new(Mutex::new(operator.inventory.clone()));
        Self { operator: Operator { issuer: "mcp".to_owned(), ..operator }, inventory }
    }

    /// Uses the same fleet over a connection with another key.
    #[must_use]
    pub fn with_connection(&self, nats: Client) -> Self {
        let operator = Operator { nats, ..self.operator.clone() };
        Self { operator, inventory: Arc::clone(&self.inventory) }
    }

    /// The operator, once connected.
    pub(super) async fn operator(&self) -> Result<Operator, ToolError> {
        let inventory = self.inventory().clone();
        let operator = Operator { inventory, ..self.operator.clone() };
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
        *self.inventory() = operator.inventory.clone();
        Ok((operator, discovery))
    }

    fn inventory(&self) -> MutexGuard<'_, Inventory> {
        // An inventory is replaced as a whole, so a poisoned lock can be used.
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
