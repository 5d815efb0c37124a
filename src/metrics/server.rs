//! The server of `/metrics` and `/health`.

use super::door::Door;
use super::{Address, Page};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long until an address that could not be had is tried again.
const PAUSE: Duration = Duration::from_secs(10);

/// A service whose metrics and health are told. Both may look at files.
pub trait Source: Send + Sync + 'static {
    /// Its metrics as they are now.
    fn write(&self, page: &mut Page);

    /// Whether it can do its work, or why not.
    fn health(&self) -> Result<(), String>;
}

/// Serves until `shutdown`. Where the address cannot be had, says so through `problem`, and tries again and again.
pub async fn serve(
    source: Arc<dyn Source>,
    address: Address,
    problem: watch::Sender<Option<String>>,
    shutdown: CancellationToken,
) {
    loop {
        let why = match address.bind().await {
            Ok(listener) => {
                let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
                tracing::info!(address, "serving metrics");
                problem.send_if_modified(|told| told.take().is_some());
                return answer(listener, source, shutdown).await;
            }
            Err(error) => format!("metrics are not served: could not listen on {address}: {error}"),
        };
        let new = problem.send_if_modified(|told| told.replace(why.clone()).as_ref() != Some(&why));
        if new {
            tracing::warn!("{why}");
        }
        if timeout(PAUSE, shutdown.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// Serves until `shutdown`, and ends what it has begun to answer.
async fn answer(listener: TcpListener, source: Arc<dyn Source>, shutdown: CancellationToken) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(health))
        .fallback((StatusCode::NOT_FOUND, "/metrics and /health are here\n"))
        .with_state(source);
    let served = axum::serve(Door::new(listener), routes).with_graceful_shutdown(shutdown.cancelled_owned());
    // It ends well or not at all.
    let _ = served.await;
}

async fn metrics(State(source): State<Arc<dyn Source>>) -> impl IntoResponse {
    let written = spawn_blocking(move || {
        let mut page = Page::default();
        source.write(&mut page);
        page.into_text()
    });
    match written.await {
        Ok(text) => ([(CONTENT_TYPE, Page::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn health(State(source): State<Arc<dyn Source>>) -> impl IntoResponse {
    let health = spawn_blocking(move || source.health()).await;
    match health.unwrap_or_else(|_| Err("could not find out".to_owned())) {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}
