//! The request that posts a notification: its method, URL, headers and body for each kind of server.

use super::config::{NotifyTarget, TargetKind, ntfy_topic};
use super::notification::{Notification, NotificationEvent, NotifyResult};
use super::secrets::TargetSecrets;
use crate::git::percent_encoded;
use crate::http_client::Request;
use crate::text::{printable, printable_lines};
use data_encoding::HEXLOWER;
use ring::hmac;
use serde_json::{Value, json};

/// ntfy turns a message of more than 4,096 bytes into an attachment.
const MAX_NTFY: usize = 3800;
/// Discord refuses more than 2,000 characters.
const MAX_DISCORD: usize = 1900;
/// Slack recommends at most 4,000 characters.
const MAX_SLACK: usize = 3800;
/// The maximum for other servers; a Matrix event may have 64 KiB.
const MAX_MESSAGE: usize = 8000;
/// The maximum length of a title, in characters.
pub(super) const MAX_TITLE: usize = 200;

/// The header with the HMAC of the body.
const SIGNATURE: &str = "Homelab-Deploy-Signature";

/// Builds the request for a target. An error contains no secret.
pub(super) fn request(
    target: &NotifyTarget,
    secrets: &TargetSecrets,
    of: &Notification,
) -> Result<Request<Option<String>>, String> {
    let url = secrets.url.trim_end_matches('/');
    let (method, url, body) = match target.kind {
        TargetKind::Ntfy => {
            let (server, topic) = ntfy_topic(url).ok_or("the URL has no topic")?;
            ("POST", format!("{server}/"), ntfy(target, topic, of))
        }
        TargetKind::Matrix => {
            let room = percent_encoded(target.room.as_deref().unwrap_or_default());
            // The server ignores a transaction that it knows, so an attempt can be repeated.
            let id = percent_encoded(&of.id);
            let path = format!("_matrix/client/v3/rooms/{room}/send/m.room.message/{id}");
            ("PUT", format!("{url}/{path}"), matrix(of))
        }
        TargetKind::Slack => ("POST", secrets.url.clone(), slack(of)),
        TargetKind::Discord => ("POST", secrets.url.clone(), discord(of)),
        TargetKind::Webhook => ("POST", secrets.url.clone(), json!(of)),
    };
    let body = body.to_string();
    let mut request = Request::builder().method(method).uri(url).header("Content-Type", "application/json");
    if let Some(token) = &secrets.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    if let Some(secret) = &secrets.signing {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref());
        request = request.header(SIGNATURE, format!("sha256={signature}"));
    }
    request.body(Some(body)).map_err(|_| "the URL is not valid".to_owned())
}

fn ntfy(target: &NotifyTarget, topic: &str, of: &Notification) -> Value {
    let result = result_of(of);
    let priority = target.priority.get(&result).copied().unwrap_or(default_priority(result));
    let tags = target.tags.get(&result).cloned().unwrap_or_else(|| vec![default_tag(of.event, result)]);
    json!({
        "topic": topic,
        "title": cut(&of.title, MAX_TITLE),
        "message": cut_bytes(&of.message, MAX_NTFY),
        "priority": priority,
        "tags": tags,
    })
}

/// The result that decides the priority: a host that is offline counts like a failure.
fn result_of(of: &Notification) -> NotifyResult {
    of.result.unwrap_or(match of.event {
        NotificationEvent::Offline | NotificationEvent::UnitsFailed => NotifyResult::Failed,
        _ => NotifyResult::Completed,
    })
}

fn default_priority(result: NotifyResult) -> u8 {
    match result {
        NotifyResult::Failed => 4,
        NotifyResult::Completed | NotifyResult::Rejected | NotifyResult::Unknown => 3,
        NotifyResult::Cancelled => 2,
    }
}

/// A short code that ntfy shows as an emoji.
fn default_tag(event: NotificationEvent, result: NotifyResult) -> String {
    let tag = match (event, result) {
        (NotificationEvent::Test, _) => "bell",
        (_, NotifyResult::Completed) => "white_check_mark",
        (_, NotifyResult::Cancelled) => "stop_button",
        (_, NotifyResult::Rejected) => "no_entry",
        (_, NotifyResult::Unknown) => "grey_question",
        (_, NotifyResult::Failed) => "rotating_light",
    };
    tag.to_owned()
}

/// Plain text with escaped HTML. Without `m.mentions`, servers look for `@room` and names in the text.
fn matrix(of: &Notification) -> Value {
    let message = cut(&of.message, MAX_MESSAGE);
    let title = cut(&of.title, MAX_TITLE);
    let lines: Vec<_> = message.lines().map(escape_html).collect();
    json!({
        "msgtype": "m.text",
        "body": silent_mentions(&joined(&title, &message)),
        "format": "org.matrix.custom.html",
        "formatted_body": silent_mentions(&format!("<b>{}</b><br>{}", escape_html(&title), lines.join("<br>"))),
        "m.mentions": {},
    })
}

/// Slack parses `&`, `<` and `>`, as in `<!channel>`; Mattermost also links `@channel` in plain text.
fn slack(of: &Notification) -> Value {
    let (title, message) = (cut(&of.title, MAX_TITLE), cut(&of.message, MAX_SLACK));
    json!({ "text": silent_mentions(&escape_html(&joined(&format!("*{title}*"), &message))) })
}

fn discord(of: &Notification) -> Value {
    let text = joined(&format!("**{}**", cut(&of.title, MAX_TITLE)), &of.message);
    let content = cut(&silent_mentions(&cut(&text, MAX_DISCORD)), MAX_DISCORD);
    json!({ "content": content, "allowed_mentions": { "parse": [] } })
}

/// The title and the message, each on its own line.
fn joined(title: &str, message: &str) -> String {
    if message.is_empty() { title.to_owned() } else { format!("{title}\n{message}") }
}

/// Escapes what HTML and Slack's markup parse.
fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Separates `@` from the name after it with an invisible character, so that the text addresses no one.
fn silent_mentions(text: &str) -> String {
    text.replace('@', "@\u{200b}")
}

/// Makes text safe to print, without empty lines at its end.
pub(super) fn clean(text: &str) -> String {
    printable_lines(text).trim_end().to_owned()
}

/// Makes text safe to print on one line, at most `max` characters.
pub(super) fn clean_line(text: &str, max: usize) -> String {
    cut(printable(text).trim(), max)
}

/// The first `max` characters, with an ellipsis if there are more.
fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The first `max` bytes of text, with an ellipsis if there are more.
fn cut_bytes(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut_bytes("äöü", 6), "äöü");
        assert_eq!(cut_bytes("äöü", 5), "äö…");
    }

    #[test]
    fn text_of_hosts_addresses_no_one() {
        let text = silent_mentions(&escape_html("<!channel> @everyone & <@U1>"));
        assert_eq!(text, "&lt;!channel&gt; @\u{200b}everyone &amp; &lt;@\u{200b}U1&gt;");
    }
}
