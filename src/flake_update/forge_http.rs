//! HTTP calls of a forge's API. The token is sent only to the forge, redirects are not followed, and each call has a timeout.

use super::options::ForgeOptions;
use super::token::secrets;
use crate::git::{Credentials, PullRequestApi, Secrets};
use crate::http_client::{HttpClient, Request};
use crate::text::{fitting_prefix, printable};
use serde_json::Value;

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
    http: HttpClient,
    /// The base URL of the API.
    url: String,
    api: PullRequestApi,
    authorization: String,
    secrets: Secrets,
}

impl ForgeClient {
    pub(super) fn new(url: String, api: PullRequestApi, options: &ForgeOptions) -> Self {
        let authorization = format!("{} {}", api.authorization, options.token.expose());
        let http = HttpClient::new(url.starts_with("https:"), options.timeout);
        let secrets = secrets(Some(&options.token), &Credentials::default(), &[]);
        Self { http, url, api, authorization, secrets }
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
        let request = match body {
            Some(body) => request.header("Content-Type", "application/json").body(Some(body.to_string())),
            None => request.body(None),
        };
        let request = request
            .map_err(|_| self.unexpected_response(method, path, "invalid request URL; check --forge-url"))?;
        let response = self.http.send(request, MAX_RESPONSE).await.map_err(|reason| {
            ForgeError::Unreachable { url: shown.clone(), reason: self.secrets.redact(&reason) }
        })?;
        if response.is_truncated {
            return Err(self.unexpected_response(
                method,
                path,
                "the response is too large; check --forge-url",
            ));
        }
        let (status, body) = (response.status, response.body);
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
                let to = self.secrets.redact(&printable(response.location.as_deref().unwrap_or("nowhere")));
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
