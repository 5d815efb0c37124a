//! Limits how many clients are connected. One that stays silent gives way to a newer one: clients that say nothing must
//! neither keep Prometheus out nor fill the memory of the service.

use super::kept::lock;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Connections at a time.
const MAX_OPEN: usize = 32;
/// Connections at a time from one address.
const MAX_PER_ADDRESS: usize = 4;
/// The age at which a connection gives way although its request is being answered: a page takes milliseconds, so its client
/// does not read.
const SLOW: Duration = Duration::from_secs(2);

/// The open connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit(Mutex<Vec<Open>>);

#[derive(Debug)]
struct Open {
    address: IpAddr,
    since: Instant,
    answering: Arc<AtomicBool>,
    gives_way: CancellationToken,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    limit: Arc<ConnectionLimit>,
    /// Whether the head of its request has arrived.
    pub(super) answering: Arc<AtomicBool>,
    /// Is cancelled when the connection must end.
    pub(super) gives_way: CancellationToken,
}

impl ConnectionLimit {
    /// The place of a new connection. If all are taken, the oldest silent connection gives way; `None` if there is none.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut open = lock(&self.0);
        let of_address = open.iter().filter(|open| open.address == address).count();
        if of_address >= MAX_PER_ADDRESS || open.len() >= MAX_OPEN {
            let same_address = of_address >= MAX_PER_ADDRESS;
            let oldest = open
                .iter()
                .enumerate()
                .filter(|(_, open)| !same_address || open.address == address)
                .map(|(at, open)| (open.answering.load(Ordering::Relaxed), open.since, at))
                .min()?;
            let (answering, since, at) = oldest;
            if answering && since.elapsed() < SLOW {
                return None;
            }
            open.swap_remove(at).gives_way.cancel();
        }
        let answering = Arc::new(AtomicBool::new(false));
        let gives_way = CancellationToken::new();
        open.push(Open {
            address,
            since: Instant::now(),
            answering: answering.clone(),
            gives_way: gives_way.clone(),
        });
        Some(Place { limit: self.clone(), answering, gives_way })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // One that gave way is not there any more.
        lock(&self.limit.0).retain(|open| !Arc::ptr_eq(&open.answering, &self.answering));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(limit: &Arc<ConnectionLimit>, address: [u8; 4]) -> Option<Place> {
        limit.admit(address.into())
    }

    #[test]
    fn the_oldest_silent_connection_of_an_address_gives_way() {
        let limit = Arc::new(ConnectionLimit::default());
        let places: Vec<_> = (0..4).map(|_| admit(&limit, [10, 0, 0, 1]).unwrap()).collect();
        let other = admit(&limit, [10, 0, 0, 2]).unwrap();
        places[0].answering.store(true, Ordering::Relaxed);
        let _new = admit(&limit, [10, 0, 0, 1]).unwrap();
        let ended: Vec<_> = places.iter().map(|place| place.gives_way.is_cancelled()).collect();
        assert_eq!(ended, [false, true, false, false]);
        assert!(!other.gives_way.is_cancelled());
    }

    #[test]
    fn of_all_addresses_together_the_oldest_silent_connection_gives_way() {
        let limit = Arc::new(ConnectionLimit::default());
        let places: Vec<_> = (0..32).map(|n| admit(&limit, [10, 0, 0, n]).unwrap()).collect();
        let _new = admit(&limit, [10, 0, 1, 0]).unwrap();
        assert!(places[0].gives_way.is_cancelled() && !places[1].gives_way.is_cancelled());
    }

    #[test]
    fn connections_that_are_answered_stay_and_a_closed_one_makes_a_place() {
        let limit = Arc::new(ConnectionLimit::default());
        let mut places: Vec<_> = (0..4).map(|_| admit(&limit, [10, 0, 0, 1]).unwrap()).collect();
        for place in &places {
            place.answering.store(true, Ordering::Relaxed);
        }
        assert!(admit(&limit, [10, 0, 0, 1]).is_none());
        places.pop();
        assert!(admit(&limit, [10, 0, 0, 1]).is_some());
    }
}
