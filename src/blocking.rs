//! Blocking work whose log lines stay in the span of the job, build or deployment that it belongs to.

use tokio::task::{JoinHandle, spawn_blocking};
use tracing::Span;

/// Runs blocking work in the current span.
pub fn spawn_in_span<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let span = Span::current();
    spawn_blocking(move || span.in_scope(work))
}
