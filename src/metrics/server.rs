//! The HTTP server for `/metrics` and `/health`.

use super::connection_limit::{ConnectionLimit, ConnectionSlot};
use super::{Address, ServiceMetrics};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Interval between attempts to listen on an unavailable address.
const BIND_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be open. It serves one request, and Prometheus then opens a new one.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Pause after a failed accept, for example because no file descriptors are left.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Content type of the page.
const PAGE_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The server of a service's metrics.
#[derive(Debug)]
pub struct MetricsServer {
    task: JoinSet<()>,
    /// Why the address is not served.
    problem: watch::Receiver<Option<String>>,
    /// The problem that the warnings of the service contain.
    shown: Option<String>,
}

impl MetricsServer {
    /// Serves until `shutdown`, if metrics are enabled. If the address is unavailable, retries.
    pub fn start(served: Option<(Arc<ServiceMetrics>, Address)>, shutdown: CancellationToken) -> Self {
        let (problem_sender, problem) = watch::channel(None);
        let mut task = JoinSet::new();
        if let Some((metrics, address)) = served {
            task.spawn(serve(metrics, address, problem_sender, shutdown));
        }
        Self { task, problem, shown: None }
    }

    /// Waits until [`MetricsServer::update_warnings`] has something to change.
    pub async fn problem_changed(&mut self) {
        if self.problem.changed().await.is_err() {
            pending::<()>().await;
        }
    }

    /// Replaces the problem in the warnings of the service.
    pub fn update_warnings(&mut self, warnings: &mut BTreeSet<String>) {
        if let Some(shown) = &self.shown {
            warnings.remove(shown);
        }
        self.shown.clone_from(&self.problem.borrow_and_update());
        warnings.extend(self.shown.clone());
    }

    /// After the shutdown, gives the server this time to finish its responses.
    pub async fn finish(&mut self, limit: Duration) {
        let _ = timeout(limit, self.task.join_next()).await;
    }
}

async fn serve(
    metrics: Arc<ServiceMetrics>,
    address: Address,
    problem: watch::Sender<Option<String>>,
    shutdown: CancellationToken,
) {
    loop {
        let reason = match address.bind().await {
            Ok(listener) => {
                let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
                tracing::info!(address, "serving metrics");
                problem.send_if_modified(|current| current.take().is_some());
                return accept_connections(listener, metrics, shutdown).await;
            }
            Err(error) => format!("metrics are not served: could not listen on {address}: {error}"),
        };
        let new =
            problem.send_if_modified(|current| current.replace(reason.clone()).as_ref() != Some(&reason));
        if new {
            tracing::warn!("{reason}");
        }
        if timeout(BIND_RETRY_INTERVAL, shutdown.cancelled()).await.is_ok() {
            return;
        }
    }
}

/// Accepts connections until `shutdown`, then finishes the responses in progress.
async fn accept_connections(
    listener: TcpListener,
    metrics: Arc<ServiceMetrics>,
    shutdown: CancellationToken,
) {
    let routes = Router::new()
        .route("/metrics", get(page))
        .route("/health", get(health))
        .fallback((StatusCode::NOT_FOUND, "not found: use /metrics or /health\n"))
        .with_state(metrics);
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
                if let Some(slot) = limit.admit(address.ip()) {
                    connections.spawn(serve_connection(stream, routes.clone(), slot, shutdown.clone()));
                }
            }
            Err(_) => sleep(ACCEPT_RETRY_INTERVAL).await,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Serves one request. A connection without a complete request head is closed after [`HEAD_TIMEOUT`] or when evicted.
async fn serve_connection(
    stream: TcpStream,
    routes: Router,
    slot: ConnectionSlot,
    shutdown: CancellationToken,
) {
    let routes = TowerToHyperService::new(routes);
    let is_answering = slot.is_answering.clone();
    let service = service_fn(move |request| {
        is_answering.store(true, Ordering::Relaxed);
        routes.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Clients that disconnect or send an invalid request are not logged.
        _ = &mut connection => {}
        () = slot.evicted.cancelled() => {}
        () = sleep(CONNECTION_TIMEOUT) => {}
        () = shutdown.cancelled() => {
            if slot.is_answering.load(Ordering::Relaxed) {
                let _ = timeout(HEAD_TIMEOUT, connection).await;
            }
        }
    }
}

async fn page(State(metrics): State<Arc<ServiceMetrics>>) -> impl IntoResponse {
    match spawn_blocking(move || metrics.page()).await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, PAGE_TYPE)], text).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn health(State(metrics): State<Arc<ServiceMetrics>>) -> impl IntoResponse {
    let health = spawn_blocking(move || metrics.health()).await;
    match health.unwrap_or_else(|_| Err("the health check failed".to_owned())) {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}
