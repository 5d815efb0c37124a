//! The server of `/metrics` and `/health`.

use super::connection_limit::{ConnectionLimit, Place};
use super::{Address, Page};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long until an address that could not be had is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may be open. It is for one request: Prometheus makes another one.
const LIFE: Duration = Duration::from_secs(10);
/// The largest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The pause after a connection could not be accepted, because no file descriptor is left for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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
    let limit = Arc::new(ConnectionLimit::default());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                if let Some(place) = limit.admit(address.ip()) {
                    connections.spawn(answer_one(stream, routes.clone(), place, shutdown.clone()));
                }
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Answers one request. Without its complete head the connection ends early: after [`HEAD`], or when it gives way to another.
async fn answer_one(stream: TcpStream, routes: Router, place: Place, shutdown: CancellationToken) {
    let routes = TowerToHyperService::new(routes);
    let answering = place.answering.clone();
    let service = service_fn(move |request| {
        answering.store(true, Ordering::Relaxed);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // A client that goes away or says nothing that could be read is not worth a word.
        _ = &mut connection => {}
        () = place.gives_way.cancelled() => {}
        () = sleep(LIFE) => {}
        () = shutdown.cancelled() => {
            if place.answering.load(Ordering::Relaxed) {
                let _ = timeout(HEAD, connection).await;
            }
        }
    }
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
