//! An answer that is kept for a moment.

use super::kept::lock;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long it is kept.
const LIFETIME: Duration = Duration::from_secs(1);

/// The answer to a costly check: many clients that ask at once cause one check a second.
#[derive(Debug)]
pub struct Recent<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Recent<T> {
    /// The answer, at most a second old; the check blocks those that ask in the meantime.
    pub fn get(&self, check: impl FnOnce() -> T) -> T {
        let mut kept = lock(&self.0);
        if let Some((at, answer)) = &*kept
            && at.elapsed() < LIFETIME
        {
            return answer.clone();
        }
        let answer = check();
        *kept = Some((Instant::now(), answer.clone()));
        answer
    }
}
