//! Calls of a forge's API: the token goes to this host alone, no redirect is followed, and each call ends in time.

use super::super::order::ForgeOrder;
use super::super::secrets::Secrets;
use super::ForgeKind;
use crate::nix::Credentials;
use crate::protocol::{fit_start, printable};
use rustls::crypto::ring;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);
/// The most that is read of an answer, in bytes.
const MAX_ANSWER: u64 = 16 << 20;
/// The most that is told of a refusal, in bytes.
const MAX_SAID: usize = 500;

/// Why a call of the forge did not do what it was for. Every text is free of credentials.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It did not answer.
    #[error("{url} did not answer: {why}")]
    Unreachable {
        /// What was called.
        url: String,
        /// Why.
        why: String,
    },
    /// It refused.
    #[error("{method} {url} was answered with HTTP {status}{said}{advice}")]
    Refused {
        /// What was called.
        method: String,
        /// Where.
        url: String,
        /// The status.
        status: u16,
        /// The forge's own message.
        said: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// It sent us elsewhere.
    #[error("{url} sends elsewhere, to {to}; the token does not follow, so give --forge-url the right place")]
    Elsewhere {
        /// What was called.
        url: String,
        /// Where it sends.
        to: String,
    },
    /// Its answer makes no sense.
    #[error("{0}")]
    Odd(String),
}

impl ForgeError {
    /// Whether it says that there is such a pull request already.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 422, .. })
    }
}

/// Calls one forge.
pub(super) struct Client {
    agent: ureq::Agent,
    api: String,
    kind: ForgeKind,
    authorization: String,
    secrets: Secrets,
}

impl Client {
    pub(super) fn new(api: String, kind: ForgeKind, order: &ForgeOrder) -> Self {
        let scheme = match kind {
            ForgeKind::Gitea => "token",
            ForgeKind::GitHub => "Bearer",
        };
        let authorization = format!("{scheme} {}", order.token.expose());
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT.min(order.timeout)))
            .timeout_global(Some(order.timeout))
            .user_agent(concat!("homelab-deploy/", env!("CARGO_PKG_VERSION")));
        if api.starts_with("https:") {
            config = config.tls_config(tls());
        } else {
            // What goes to this machine goes to no proxy.
            config = config.proxy(None);
        }
        let secrets = Secrets::new(Some(&order.token), &Credentials::default(), &[]);
        Self { agent: config.build().new_agent(), api, kind, authorization, secrets }
    }

    /// Calls the API and gives the JSON of its answer.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, ForgeError> {
        let url = format!("{}{path}", self.api);
        let shown = url.split('?').next().unwrap_or_default().to_owned();
        let accept = match self.kind {
            ForgeKind::Gitea => "application/json",
            ForgeKind::GitHub => "application/vnd.github+json",
        };
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header("Authorization", &self.authorization)
            .header("Accept", accept);
        if self.kind == ForgeKind::GitHub {
            request = request.header("X-GitHub-Api-Version", "2022-11-28");
        }
        let agent = self.agent.clone();
        let odd = |_| self.odd(method, path, "it cannot be called so; is --forge-url right?");
        let (answered, answer) = oneshot::channel();
        // Whoever does not wait any longer is not held up by it.
        let call: Box<dyn FnOnce() -> _ + Send> = match body {
            Some(body) => {
                let request = request.header("Content-Type", "application/json");
                let request = request.body(body.to_string()).map_err(odd)?;
                Box::new(move || agent.run(request))
            }
            None => {
                let request = request.body(()).map_err(odd)?;
                Box::new(move || agent.run(request))
            }
        };
        std::thread::spawn(move || {
            let read = call().and_then(|mut answer| {
                let status = answer.status().as_u16();
                let to = answer.headers().get("location").and_then(|to| to.to_str().ok().map(str::to_owned));
                let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec()?;
                Ok((status, to, text))
            });
            let _ = answered.send(read);
        });
        let unreachable =
            |why: String| ForgeError::Unreachable { url: shown.clone(), why: self.secrets.blot(&why) };
        let (status, to, body) = match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unreachable(in_words(&error))),
            Err(_) => return Err(unreachable("the call was given up".to_owned())),
        };
        match status {
            200..=299 if body.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&body).map_err(|_| {
                self.odd(method, path, "its answer is no JSON; is --forge-url a forge of that kind?")
            }),
            300..=399 => {
                let to = self.secrets.blot(&printable(to.as_deref().unwrap_or("nowhere")));
                Err(ForgeError::Elsewhere { url: shown, to })
            }
            status => Err(ForgeError::Refused {
                method: method.to_owned(),
                url: shown,
                status,
                said: self.secrets.blot(&said(&body)),
                advice: advice(status),
            }),
        }
    }

    /// An answer that makes no sense.
    pub(super) fn odd(&self, method: &str, path: &str, why: &str) -> ForgeError {
        let path = path.split('?').next().unwrap_or_default();
        ForgeError::Odd(format!("{method} {}{path}: {why}", self.api))
    }
}

/// The certificates that this machine trusts, for a forge at home often has one of a private authority.
fn tls() -> TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<_> = roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
    TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build()
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the time ran out".to_owned(),
        ureq::Error::HostNotFound => "there is no such host".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// The forge's own message, after a colon.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut parts: Vec<String> = answer["message"].as_str().map(str::to_owned).into_iter().collect();
    let errors = answer["errors"].as_array().into_iter().flatten();
    parts.extend(errors.filter_map(|error| Some(error["message"].as_str().or(error.as_str())?.to_owned())));
    if parts.is_empty() && answer.is_null() {
        parts.push(text.into_owned());
    }
    let said = printable(&parts.join(": "));
    let said = fit_start(said.trim(), MAX_SAID);
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 => "; the token is not known there: make a new one",
        403 => "; the token may not do that: give it rights to the repository, its issues and pull requests",
        404 => "; there is no such repository, or the token may not see it",
        _ => "",
    }
}
