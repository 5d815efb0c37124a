//! HTTP calls of a forge's API. The token is sent only to the forge, redirects are not followed, and each call has a timeout.

use super::options::ForgeOptions;
use super::token::secrets;
use crate::git::{Credentials, PullRequestApi, Secrets};
use crate::text::{fitting_prefix, printable};
use rustls::crypto::ring;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(10);
/// Maximum size of a response, in bytes.
const MAX_RESPONSE: u64 = 16 << 20;
/// Maximum length of a forge's error message, in bytes.
const MAX_MESSAGE: usize = 500;

/// A failed API call. Messages contain no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The forge did not respond.
    #[error("{url} did not respond: {reason}")]
    Unreachable {
        /// The requested URL.
        url: String,
        /// The reason, such as "timed out".
        reason: String,
    },
    /// The forge responded with an error status.
    #[error("{method} {url} failed with HTTP {status}{message}{advice}")]
    Refused {
        /// The HTTP method.
        method: String,
        /// The requested URL.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// The forge's message, after a colon; may be empty.
        message: String,
        /// What to do about it, after a semicolon; may be empty.
        advice: &'static str,
    },
    /// The forge responded with a redirect.
    #[error("{url} redirects to {to}; the token is not sent there, so set --forge-url to the right URL")]
    Redirected {
        /// The requested URL.
        url: String,
        /// The target of the redirect.
        to: String,
    },
    /// The forge's response is not what the API specifies.
    #[error("{0}")]
    UnexpectedResponse(String),
}

impl ForgeError {
    /// Whether the error means that the pull request already exists.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 422, .. })
    }
}

/// An API client for one forge.
pub(super) struct ForgeClient {
    agent: ureq::Agent,
    /// The base URL of the API.
    url: String,
    api: PullRequestApi,
    authorization: String,
    secrets: Secrets,
}

impl ForgeClient {
    pub(super) fn new(url: String, api: PullRequestApi, options: &ForgeOptions) -> Self {
        let authorization = format!("{} {}", api.authorization, options.token.expose());
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT.min(options.timeout)))
            .timeout_global(Some(options.timeout))
            .user_agent(concat!("homelab-deploy/", env!("CARGO_PKG_VERSION")));
        if url.starts_with("https:") {
            config = config.tls_config(tls());
        } else {
            // Plain HTTP is only used for this machine, which needs no proxy.
            config = config.proxy(None);
        }
        let secrets = secrets(Some(&options.token), &Credentials::default(), &[]);
        Self { agent: config.build().new_agent(), url, api, authorization, secrets }
    }

    /// Calls the API and returns the JSON of the response.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ForgeError> {
        let url = format!("{}{path}", self.url);
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        let request =
            Request::builder().method(method).uri(&url).header("Authorization", &self.authorization);
        let request =
            self.api.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let agent = self.agent.clone();
        let invalid_request =
            |_| self.unexpected_response(method, path, "invalid request URL; check --forge-url");
        let (response_sender, response) = oneshot::channel();
        // A separate thread, so that a cancelled caller does not wait for the blocking call.
        let call: Box<dyn FnOnce() -> _ + Send> = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                let request = request.body(body.to_string()).map_err(invalid_request)?;
                Box::new(move || agent.run(request))
            }
            None => {
                let request = request.body(()).map_err(invalid_request)?;
                Box::new(move || agent.run(request))
            }
        };
        std::thread::spawn(move || {
            let read = call().and_then(|mut response| {
                let status = response.status().as_u16();
                let to =
                    response.headers().get("location").and_then(|to| to.to_str().ok().map(str::to_owned));
                let text = response.body_mut().with_config().limit(MAX_RESPONSE).read_to_vec()?;
                Ok((status, to, text))
            });
            let _ = response_sender.send(read);
        });
        let unreachable = |reason: String| ForgeError::Unreachable {
            url: shown.clone(),
            reason: self.secrets.redact(&reason),
        };
        let (status, to, body) = match response.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(unreachable(describe(&error))),
            Err(_) => return Err(unreachable("the call was aborted".to_owned())),
        };
        match status {
            200..=299 if body.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&body).map_err(|_| {
                self.unexpected_response(
                    method,
                    path,
                    "the response is not JSON; check --forge-url and --forge",
                )
            }),
            300..=399 => {
                let to = self.secrets.redact(&printable(to.as_deref().unwrap_or("nowhere")));
                Err(ForgeError::Redirected { url: shown, to })
            }
            status => Err(ForgeError::Refused {
                method: method.to_owned(),
                url: shown,
                status,
                message: self.secrets.redact(&error_message(&body)),
                advice: advice(status),
            }),
        }
    }

    /// The error for a response that is not what the API specifies.
    pub(super) fn unexpected_response(&self, method: &str, path: &str, reason: &str) -> ForgeError {
        let path = path.split('?').next().unwrap_or_default();
        ForgeError::UnexpectedResponse(format!("{method} {}{path}: {reason}", self.url))
    }
}

/// Trusts the system's certificates, because a self-hosted forge often has a certificate of a private authority.
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

/// The forge's own message, after a colon.
fn error_message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let response: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut parts: Vec<String> = response["message"].as_str().map(str::to_owned).into_iter().collect();
    let errors = response["errors"].as_array().into_iter().flatten();
    parts.extend(errors.filter_map(|error| Some(error["message"].as_str().or(error.as_str())?.to_owned())));
    if parts.is_empty() && response.is_null() {
        parts.push(text.into_owned());
    }
    let message = printable(&parts.join(": "));
    let message = fitting_prefix(message.trim(), MAX_MESSAGE);
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; the forge does not accept the token: create a new one",
        403 => {
            "; the token lacks permission: grant it access to the repository, its issues and pull requests"
        }
        404 => "; the repository does not exist, or the token has no access to it",
        _ => "",
    }
}
