//! Limits the number of open connections. A new connection evicts an idle one, so that idle clients can neither block
//! Prometheus nor use up the memory of the service.

use super::persisted::lock;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Maximum number of open connections.
const MAX_OPEN: usize = 32;
/// Maximum number of open connections from one address.
const MAX_PER_ADDRESS: usize = 4;
/// Age at which a connection can be evicted even during its response. A page takes milliseconds, so its client does not
/// read it.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(2);

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit(Mutex<Vec<OpenConnection>>);

#[derive(Debug)]
struct OpenConnection {
    address: IpAddr,
    opened_at: Instant,
    is_answering: Arc<AtomicBool>,
    evicted: CancellationToken,
}

/// The slot of one connection, freed on drop.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    limit: Arc<ConnectionLimit>,
    /// Whether the head of its request has arrived.
    pub(super) is_answering: Arc<AtomicBool>,
    /// Cancelled when the connection must be closed.
    pub(super) evicted: CancellationToken,
}

impl ConnectionLimit {
    /// Reserves a slot for a new connection. If none is free, evicts the oldest idle connection; `None` if there is
    /// none.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        let address = address.to_canonical();
        let mut open = lock(&self.0);
        let of_address = open.iter().filter(|open| open.address == address).count();
        if of_address >= MAX_PER_ADDRESS || open.len() >= MAX_OPEN {
            let same_address = of_address >= MAX_PER_ADDRESS;
            let oldest = open
                .iter()
                .enumerate()
                .filter(|(_, open)| !same_address || open.address == address)
                .map(|(at, open)| (open.is_answering.load(Ordering::Relaxed), open.opened_at, at))
                .min()?;
            let (is_answering, opened_at, at) = oldest;
            if is_answering && opened_at.elapsed() < MAX_ANSWER_TIME {
                return None;
            }
            open.swap_remove(at).evicted.cancel();
        }
        let is_answering = Arc::new(AtomicBool::new(false));
        let evicted = CancellationToken::new();
        open.push(OpenConnection {
            address,
            opened_at: Instant::now(),
            is_answering: is_answering.clone(),
            evicted: evicted.clone(),
        });
        Some(ConnectionSlot { limit: self.clone(), is_answering, evicted })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        // An evicted connection was already removed.
        lock(&self.limit.0).retain(|open| !Arc::ptr_eq(&open.is_answering, &self.is_answering));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(limit: &Arc<ConnectionLimit>, address: [u8; 4]) -> Option<ConnectionSlot> {
        limit.admit(address.into())
    }

    #[test]
    fn the_oldest_idle_connection_of_an_address_is_evicted() {
        let limit = Arc::new(ConnectionLimit::default());
        let slots: Vec<_> = (0..4).map(|_| admit(&limit, [10, 0, 0, 1]).unwrap()).collect();
        let other = admit(&limit, [10, 0, 0, 2]).unwrap();
        slots[0].is_answering.store(true, Ordering::Relaxed);
        let _new = admit(&limit, [10, 0, 0, 1]).unwrap();
        let ended: Vec<_> = slots.iter().map(|slot| slot.evicted.is_cancelled()).collect();
        assert_eq!(ended, [false, true, false, false]);
        assert!(!other.evicted.is_cancelled());
    }

    #[test]
    fn the_oldest_idle_connection_of_all_addresses_is_evicted() {
        let limit = Arc::new(ConnectionLimit::default());
        let slots: Vec<_> = (0..32).map(|n| admit(&limit, [10, 0, 0, n]).unwrap()).collect();
        let _new = admit(&limit, [10, 0, 1, 0]).unwrap();
        assert!(slots[0].evicted.is_cancelled() && !slots[1].evicted.is_cancelled());
    }

    #[test]
    fn active_connections_stay_and_a_closed_one_frees_a_slot() {
        let limit = Arc::new(ConnectionLimit::default());
        let mut slots: Vec<_> = (0..4).map(|_| admit(&limit, [10, 0, 0, 1]).unwrap()).collect();
        for slot in &slots {
            slot.is_answering.store(true, Ordering::Relaxed);
        }
        assert!(admit(&limit, [10, 0, 0, 1]).is_none());
        slots.pop();
        assert!(admit(&limit, [10, 0, 0, 1]).is_some());
    }
}
