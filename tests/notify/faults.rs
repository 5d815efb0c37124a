//! Servers that are busy, broken or silent.

use crate::chat_server::{ChatAnswer, ChatServer};
use crate::stage::{Stage, webhook};
use std::time::{Duration, Instant};

/// Retries of the same notification until the server accepts it; returns the time between the requests.
fn retried(answer: ChatAnswer) -> Duration {
    let chat =
        ChatServer::new(move |_, earlier| if earlier == 0 { answer.clone() } else { ChatAnswer::ok() });
    let stage = Stage::new(chat, "timeout = \"1s\"");
    stage.send(&stage.report("web1", "d1", "completed"));
    let first = stage.chat.next();
    let started = Instant::now();
    let second = stage.chat.next();
    let pause = started.elapsed();
    assert_eq!(first.bytes, second.bytes);
    stage.barrier("d2");
    assert!(stage.chat.received().is_empty());
    pause
}

#[test]
fn a_notification_is_posted_again_after_a_fault() {
    for answer in [
        ChatAnswer::status(500),
        ChatAnswer::status(408),
        ChatAnswer::status(503),
        ChatAnswer::Close,
        ChatAnswer::Hang,
    ] {
        retried(answer);
    }
}

#[test]
fn a_busy_server_decides_how_long_to_wait() {
    let busy = |header: String| ChatAnswer::Status(429, vec![header], String::new());
    let pause = retried(busy("Retry-After: 3".to_owned()));
    assert!((Duration::from_millis(2500)..Duration::from_secs(20)).contains(&pause), "{pause:?}");
    let date = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
    // The date was made before the start of the test.
    let pause = retried(busy(format!("Retry-After: {date}")));
    assert!(pause < Duration::from_secs(20), "{pause:?}");
}

#[test]
fn matrix_repeats_the_transaction() {
    let chat = ChatServer::new(|_, earlier| match earlier {
        0 => ChatAnswer::Status(
            429,
            vec![],
            "{\"errcode\":\"M_LIMIT_EXCEEDED\",\"retry_after_ms\":2000}".to_owned(),
        ),
        1 => ChatAnswer::Close,
        _ => ChatAnswer::ok(),
    });
    let directory = crate::common::TestDir::new();
    let token = crate::stage::secret(directory.path(), "token", "s3cret-token");
    let targets = |chat: &ChatServer| {
        let url = chat.url("");
        format!("[targets.room]\nkind = \"matrix\"\nurl = {url:?}\nroom = \"!r:h\"\ntoken_file = {token:?}\n")
    };
    let stage = Stage::with(chat, targets, |notify| notify);
    stage.send(&stage.report("web1", "d1", "completed"));
    let started = Instant::now();
    let posted = [stage.chat.next(), stage.chat.next(), stage.chat.next()];
    assert!(started.elapsed() > Duration::from_millis(1900));
    assert!(posted.iter().all(|again| again.path == posted[0].path && again.bytes == posted[0].bytes));
}

#[test]
fn a_refused_notification_is_logged_and_not_repeated() {
    let refused = ChatAnswer::Status(403, vec![], "topic \u{1b}[31mreserved".to_owned());
    let chat =
        ChatServer::new(move |_, earlier| if earlier == 0 { refused.clone() } else { ChatAnswer::ok() });
    let mut stage = Stage::new(chat, "");
    stage.send(&stage.report("web1", "d1", "completed"));
    let log = stage.notify.wait_for_log("dropped notification");
    assert_eq!((&log["target"], &log["reason"]), (&"ops".into(), &"HTTP 403: topic reserved".into()));
    assert_eq!(stage.chat.next().body["deployment"]["id"], "d1");
    assert_eq!(stage.barrier("d2").body["deployment"]["id"], "d2");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn a_redirect_is_not_followed() {
    let redirect =
        ChatAnswer::Status(307, vec!["Location: http://127.0.0.1:1/elsewhere".to_owned()], String::new());
    let mut stage = Stage::new(ChatServer::new(move |_, _| redirect.clone()), "");
    stage.send(&stage.report("web1", "d1", "completed"));
    let reason = stage.notify.wait_for_log("dropped notification")["reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("HTTP 307; redirects are not followed"), "{reason}");
}

#[test]
fn a_target_that_hangs_delays_no_other() {
    let chat =
        ChatServer::new(|posted, _| if posted.path == "/slow" { ChatAnswer::Hang } else { ChatAnswer::ok() });
    let targets = |chat: &ChatServer| webhook(chat, "slow", "timeout = \"1h\"") + &webhook(chat, "ops", "");
    let mut stage = Stage::with(chat, targets, |notify| notify);
    stage.send(&stage.report("web1", "d1", "completed"));
    stage.chat.next_at("/slow");
    stage.barrier_among_others("d2");
    // It does not delay the end either.
    let started = Instant::now();
    stage.notify.terminate();
    assert!(stage.notify.wait_for_exit().success());
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn an_unreachable_server_is_logged_once_for_each_reason() {
    let mut stage = Stage::with(
        ChatServer::accepting(),
        |_| "[targets.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/ops\"\n".to_owned(),
        |notify| notify,
    );
    stage.send(&stage.report("web1", "d1", "completed"));
    let log = stage.notify.wait_for_log("failed to post notification, retrying");
    assert_eq!((&log["server"], &log["level"]), (&"http://127.0.0.1:1".into(), &"WARN".into()));
    assert!(log["reason"].as_str().unwrap().contains("refused"), "{log}");
    stage.notify.terminate();
    let rest = stage.notify.rest_of_log();
    let again = rest.iter().filter(|line| line["msg"] == "failed to post notification, retrying").count();
    assert!(again == 0 && rest.iter().any(|line| line["targets"] == 1), "{rest:#?}");
}
