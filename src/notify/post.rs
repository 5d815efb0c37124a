//! Posts a notification once, and decides whether another attempt makes sense.

use super::config::{NotifyTarget, TargetKind};
use super::notification::Notification;
use super::payload;
use super::secrets::TargetSecrets;
use crate::git::Secrets;
use crate::http_client::{HttpClient, HttpResponse};
use crate::text::{fitting_prefix, printable};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The most bytes of a response that are read: only errors are shown.
const MAX_RESPONSE: u64 = 4096;
/// The maximum length of a server's answer in a message, in bytes.
const MAX_REASON: usize = 300;
/// The longest pause that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PostResult {
    /// The server has accepted the notification.
    Posted,
    /// Another attempt may succeed, not before the pause.
    Retry { reason: String, pause: Option<Duration> },
    /// The server refuses the notification.
    Refused { reason: String },
}

/// Posts to one target.
#[derive(Clone)]
pub struct Poster(Arc<PosterParts>);

struct PosterParts {
    target: NotifyTarget,
    secrets: TargetSecrets,
    redacted: Secrets,
    client: HttpClient,
}

impl Poster {
    /// A poster for a target with its secrets.
    pub fn new(target: NotifyTarget, secrets: TargetSecrets) -> Self {
        let is_tls = secrets.url.starts_with("https:");
        let client = HttpClient::new(is_tls, target.timeout);
        let redacted = secrets.redacted(target.kind);
        Self(Arc::new(PosterParts { target, secrets, redacted, client }))
    }

    /// The target.
    pub fn target(&self) -> &NotifyTarget {
        &self.0.target
    }

    /// The server of the target, for messages.
    pub fn origin(&self) -> String {
        self.0.secrets.origin()
    }

    /// Posts a notification once. An error is the reason, for people.
    pub async fn post_once(&self, notification: &Notification) -> Result<(), String> {
        match self.post(notification).await {
            PostResult::Posted => Ok(()),
            PostResult::Retry { reason, .. } | PostResult::Refused { reason } => Err(reason),
        }
    }

    pub(super) async fn post(&self, notification: &Notification) -> PostResult {
        let PosterParts { target, secrets, redacted, client } = &*self.0;
        let request = match payload::request(target, secrets, notification) {
            Ok(request) => request,
            Err(reason) => return PostResult::Refused { reason },
        };
        match client.send(request, MAX_RESPONSE).await {
            Err(reason) => PostResult::Retry { reason: printable(&redacted.redact(&reason)), pause: None },
            Ok(response) => judge(&response, target.kind, redacted, Timestamp::now()),
        }
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Poster").field(&self.0.secrets).finish()
    }
}

/// Decides by the status of a response.
fn judge(response: &HttpResponse, kind: TargetKind, secrets: &Secrets, now: Timestamp) -> PostResult {
    let status = response.status;
    if (200..300).contains(&status) {
        return PostResult::Posted;
    }
    let answer = printable(&secrets.redact(&String::from_utf8_lossy(&response.body)));
    let answer = fitting_prefix(answer.trim(), MAX_REASON);
    let answer = if answer.is_empty() { String::new() } else { format!(": {answer}") };
    let reason = format!("HTTP {status}{answer}");
    match status {
        408 | 425 | 429 | 500..600 => {
            let header = response.retry_after.as_deref().and_then(|text| retry_after(text, now));
            let body = || (kind == TargetKind::Matrix).then(|| matrix_pause(&response.body)).flatten();
            let pause = header.or_else(body).map(|pause| pause.min(MAX_RETRY_AFTER));
            PostResult::Retry { reason, pause }
        }
        300..400 => {
            let advice =
                "redirects are not followed, because the token would be sent elsewhere: set the right URL";
            PostResult::Refused { reason: format!("HTTP {status}; {advice}") }
        }
        _ => PostResult::Refused { reason },
    }
}

/// The pause of the header `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
}

/// The pause that a Matrix server asks for in the body.
fn matrix_pause(body: &[u8]) -> Option<Duration> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["retry_after_ms"].as_u64().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, retry_after: Option<&str>, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            location: None,
            retry_after: retry_after.map(str::to_owned),
            body: body.as_bytes().to_vec(),
            is_truncated: false,
        }
    }

    fn result(status: u16, retry_after: Option<&str>, body: &str) -> PostResult {
        // 2026-01-02T03:04:05Z.
        let now = Timestamp::from_second(1_767_323_045).unwrap_or_default();
        let secrets: Secrets = [("s3cret-token".to_owned(), "***".to_owned())].into_iter().collect();
        judge(&response(status, retry_after, body), TargetKind::Matrix, &secrets, now)
    }

    fn pause(result: &PostResult) -> Option<u64> {
        match result {
            PostResult::Retry { pause, .. } => pause.map(|pause| pause.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_status_decides_whether_to_try_again() {
        for status in [200, 202, 204] {
            assert_eq!(result(status, None, ""), PostResult::Posted);
        }
        for status in [408, 425, 429, 500, 502, 503, 599] {
            assert_eq!(pause(&result(status, None, "busy")), None);
        }
        for status in [301, 400, 401, 403, 404, 413, 422, 600] {
            assert!(matches!(result(status, None, "no"), PostResult::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn a_server_can_ask_for_a_pause() {
        assert_eq!(pause(&result(429, Some("7"), "")), Some(7));
        assert_eq!(pause(&result(503, Some("Fri, 02 Jan 2026 03:04:15 GMT"), "")), Some(10));
        // A date in the past.
        assert_eq!(pause(&result(503, Some("Fri, 02 Jan 2026 03:04:00 GMT"), "")), Some(0));
        assert_eq!(pause(&result(429, Some("soon"), r#"{"retry_after_ms": 2000}"#)), Some(2));
        assert_eq!(pause(&result(429, Some("999999999"), "")), Some(3600));
    }

    #[test]
    fn the_answer_of_a_server_is_short_printable_and_without_secrets() {
        let body = format!("no \u{1b}[31ms3cret-token\u{7}\n{}", "x".repeat(1000));
        let PostResult::Refused { reason } = result(403, None, &body) else { panic!("not refused") };
        assert!(reason.starts_with("HTTP 403: no *** xxx") && reason.len() < 350, "{reason}");
    }
}
