//! Calls of HTTP APIs: each has a timeout, redirects are not followed, and the certificates of the system are trusted.

use rustls::crypto::ring;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

pub use ureq::http::Request;

/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(10);

/// A client for one server.
#[derive(Clone)]
pub struct HttpClient(ureq::Agent);

/// The response of a server, with any status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    /// The HTTP status code.
    pub status: u16,
    /// The target of a redirect.
    pub location: Option<String>,
    /// When the server accepts the next request: seconds or a date.
    pub retry_after: Option<String>,
    /// The start of the body.
    pub body: Vec<u8>,
    /// Whether the body is longer.
    pub is_truncated: bool,
}

impl HttpClient {
    /// Creates a client for a server with TLS, or for one without.
    pub fn new(is_tls: bool, timeout: Duration) -> Self {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("homelab-deploy/", env!("CARGO_PKG_VERSION")));
        if is_tls {
            config = config.tls_config(tls());
        } else {
            // Plain HTTP is only used for this machine and its network, which need no proxy.
            config = config.proxy(None);
        }
        Self(config.build().new_agent())
    }

    /// Sends a request and reads at most `limit` bytes of the response. An error is the reason, such as "timed out".
    pub async fn send(&self, request: Request<Option<String>>, limit: u64) -> Result<HttpResponse, String> {
        let agent = self.0.clone();
        let (response_sender, response) = oneshot::channel();
        // A separate thread, so that a cancelled caller does not wait for the blocking call.
        std::thread::spawn(move || {
            let _ = response_sender.send(call(&agent, request, limit));
        });
        match response.await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err("the call was aborted".to_owned()),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

fn call(
    agent: &ureq::Agent,
    request: Request<Option<String>>,
    limit: u64,
) -> Result<HttpResponse, ureq::Error> {
    let (parts, body) = request.into_parts();
    let mut response = match body {
        Some(body) => agent.run(Request::from_parts(parts, body)),
        None => agent.run(Request::from_parts(parts, ())),
    }?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let (location, retry_after) = (header("location"), header("retry-after"));
    let mut body = Vec::new();
    response.body_mut().as_reader().take(limit + 1).read_to_end(&mut body)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_truncated = body.len() > limit;
    body.truncate(limit);
    Ok(HttpResponse { status: response.status().as_u16(), location, retry_after, body, is_truncated })
}

/// Trusts the system's certificates, because a self-hosted server often has a certificate of a private authority.
fn tls() -> TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build()
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
