//! The server of `/metrics` and `/health`.

use super::Page;
use super::door::Door;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// A service whose metrics and health are told. Both may look at files.
pub trait Source: Send + Sync + 'static {
    /// Its metrics as they are now.
    fn write(&self, page: &mut Page);

    /// Whether it can do its work, or why not.
    fn health(&self) -> Result<(), String>;
}

/// Serves until `shutdown`, and ends what it has begun to answer.
pub async fn serve(listener: TcpListener, source: Arc<dyn Source>, shutdown: CancellationToken) {
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
