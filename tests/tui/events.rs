//! The event feed.

use crate::harness::{
    COLOUR, Harness, PLAIN, ago, answer, assert_frame, building, failed, history, history_entry, name, noon,
    presence_message, report, report_message,
};
use crate::keys::keys;
use homelab_deploy::client::{Inventory, Reply};
use homelab_deploy::protocol::{Action, Presence, Status};
use homelab_deploy::tui::{
    App, ConsoleEvent, Context, Effect, EventFeed, FeedKind, LogKey, MAX_EVENTS, Options,
};
use jiff::{SignedDuration, Timestamp};
use std::os::unix::fs::PermissionsExt;

/// The events as `host kind text`, newest first.
fn events(harness: &Harness) -> Vec<String> {
    let line = |event: &homelab_deploy::tui::FeedEvent| {
        let kind = serde_json::to_value(event.kind).unwrap();
        format!("{} {} {}", event.host, kind.as_str().unwrap(), event.text)
    };
    harness.app.feed.events().iter().rev().map(line).collect()
}

/// Delivers presence messages; returns the events that follow from them, newest first.
fn present(harness: &mut Harness, at: Timestamp, answer: Presence) -> Vec<String> {
    let before = harness.app.feed.events().len();
    harness.receive(at, [presence_message(answer)]);
    let added = harness.app.feed.events().len() - before;
    events(harness).into_iter().take(added).collect()
}

fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

#[test]
fn transitions_of_a_host_are_events() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let healthy = answer("web1", "test", "web");
    // At the first start every host would be new.
    assert_eq!(present(&mut harness, at(0), healthy.clone()), [] as [&str; 0]);
    let mut held = healthy.clone();
    held.held = Some("kernel\u{1b}[2J bisect".to_owned());
    assert_eq!(present(&mut harness, at(1), held.clone()), ["web1 held held: kernel bisect"]);
    assert_eq!(present(&mut harness, at(2), held), [] as [&str; 0]);
    assert_eq!(present(&mut harness, at(3), healthy.clone()), ["web1 released released"]);
    let mut broken = healthy.clone();
    broken.failed_units = vec!["nginx.service".to_owned()];
    assert_eq!(present(&mut harness, at(4), broken), ["web1 unit_failed nginx.service has failed"]);
    assert_eq!(
        present(&mut harness, at(5), healthy.clone()),
        ["web1 unit_recovered nginx.service no longer fails"]
    );
    let mut other = healthy;
    other.commit = Some("b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10".into());
    assert_eq!(present(&mut harness, at(6), other), ["web1 commit runs main b04c7de, before 3f2a91c"]);
}

#[test]
fn results_are_events_once() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(
        noon(),
        [presence_message(answer("web1", "test", "web")), report_message(building("web1", "d1"))],
    );
    assert_eq!(events(&harness), [] as [&str; 0]);
    let mut done = failed("web1", "d1");
    done.seq = Some(2_000_000);
    harness.receive(at(5), [report_message(done.clone()), report_message(done.clone())]);
    // The presence repeats the last job.
    let mut presence = answer("web1", "test", "web");
    presence.job = Some(std::sync::Arc::new(done));
    harness.receive(at(6), [presence_message(presence)]);
    let [event] = &events(&harness)[..] else { panic!("{:?}", events(&harness)) };
    assert!(
        event.starts_with("web1 failed switch main b04c7de by alice@laptop: failed: verification failed: "),
        "{event}"
    );
    assert_eq!(harness.app.feed.events()[0].at, at(5));
    // A result from before the start of the console has the time of the host.
    let mut presence = answer("web2", "test", "web");
    presence.job = Some(std::sync::Arc::new(report("web2", "d0", Status::Completed)));
    harness.receive(at(7), [presence_message(presence)]);
    assert_eq!(harness.app.feed.events()[0].at, ago(200_000));
    assert_eq!(
        events(&harness)[1],
        "web2 completed switch main b04c7de by alice@laptop: completed in 48.2 s"
    );
}

#[test]
fn a_deployed_commit_is_no_event_besides_the_result() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(
        noon(),
        [presence_message(answer("web1", "test", "web")), report_message(building("web1", "d1"))],
    );
    let mut done = report("web1", "d1", Status::Completed);
    done.seq = Some(2_000_000);
    harness.receive(at(5), [report_message(done)]);
    let mut presence = answer("web1", "test", "web");
    presence.commit = Some("b04c7de19f3a52886e0d4c1b7a9f6e5d4c3b2a10".into());
    assert_eq!(present(&mut harness, at(6), presence), [] as [&str; 0]);
}

#[test]
fn silence_and_return_are_events_unless_the_connection_is_down() {
    let mut harness = Harness::new(120, 40, PLAIN);
    harness.receive(noon(), [presence_message(answer("web1", "test", "web"))]);
    harness.connect(homelab_deploy::tui::ConnectionStatus::default());
    harness.clock(at(200));
    assert_eq!(events(&harness), [] as [&str; 0]);
    harness.connect(homelab_deploy::tui::ConnectionStatus { up: true, ..Default::default() });
    harness.clock(at(201));
    harness.clock(at(202));
    assert_eq!(events(&harness), ["web1 silent silent for 3 min"]);
    harness.receive(at(700), [presence_message(answer("web1", "test", "web"))]);
    assert_eq!(events(&harness)[0], "web1 back back after 11 min of silence");
}

#[test]
fn an_unknown_host_is_new_if_others_are_known() {
    let mut inventory = Inventory::default();
    inventory.add_expected(&name("web1"), &name("test"), None);
    let mut harness = Harness::new(120, 40, PLAIN);
    let size = harness.app.size;
    harness.app =
        App::new(Options::new("nats://nats1:4222", "alice@laptop", PLAIN), &inventory, size, noon());
    harness.receive(noon(), ["web1", "web2"].map(|host| presence_message(answer(host, "test", "web"))));
    assert_eq!(events(&harness), ["web2 new seen for the first time"]);
}

#[test]
fn the_history_completes_the_feed() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    keys(&mut harness, "E");
    let queried: Vec<_> =
        harness.effects().into_iter().filter(|effect| matches!(effect, Effect::Durations(_))).collect();
    assert_eq!(queried, [Effect::Durations(["ns1", "ns2", "web1"].map(name).into())]);
    let mut hold = history_entry("hold-1", Action::Hold, 1, None);
    hold.reason = Some("kernel bisect".to_owned());
    let before = harness.app.feed.events().len();
    harness.apply(ConsoleEvent::Durations(vec![(name("ns2"), vec![hold])]));
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(history()))));
    // The job d1 was known.
    assert_eq!(harness.app.feed.events().len(), before + 1 + 9);
    assert!(events(&harness).contains(&"ns2 held held by alice@laptop: kernel bisect".to_owned()));
    let times: Vec<_> = harness.app.feed.events().iter().map(|event| event.at).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// A fleet with events of two days; the operator looked an hour ago.
fn fleet(width: u16, height: u16) -> Harness {
    let mut harness = Harness::fleet(width, height, COLOUR);
    harness.apply(ConsoleEvent::History(name("web1"), Ok(Reply::Ok(history()))));
    let mut broken = answer("ns2", "prod", "dns");
    broken.failed_units = vec!["smartd.service".to_owned()];
    harness.receive(noon(), [presence_message(broken)]);
    harness.app.feed.last_looked = Some(ago(3600));
    harness
}

#[test]
fn snapshots_of_the_events() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let mut harness = fleet(width, height);
        keys(&mut harness, "E");
        assert_frame!(format!("events-{width}x{height}"), harness);
    }
}

#[test]
fn the_marker_separates_new_events_and_keys_open_hosts_and_logs() {
    let mut harness = fleet(120, 40);
    keys(&mut harness, "E");
    assert_eq!(harness.app.context(), Context::Events);
    let text = harness.text();
    assert!(text.contains(" 4 new, ") && text.contains(" you last looked 1 h ago "), "{text}");
    assert_eq!(harness.app.feed.last_looked, Some(noon()));
    harness.apply(ConsoleEvent::Frame);
    keys(&mut harness, "\n");
    assert_eq!(harness.host().host, name("ns2"));
    keys(&mut harness, "^l");
    assert!(harness.text().contains("this event has no log"), "{}", harness.text());
    // The marker is a row, too.
    keys(&mut harness, "jjjjj");
    let job = harness.app.feed.events().iter().rev().nth(4).unwrap().clone();
    keys(&mut harness, "l");
    harness.effects();
    harness.apply(ConsoleEvent::Frame);
    let key = LogKey { host: job.host, job: job.job.unwrap() };
    assert!(harness.effects().contains(&Effect::FullLog(key)));
    // The next look starts here.
    keys(&mut harness, "^^E");
    assert!(harness.text().contains(" 0 new, "), "{}", harness.text());
}

#[test]
fn the_feed_keeps_a_thousand_events_in_a_private_file() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let healthy = answer("web1", "test", "web");
    harness.receive(noon(), [presence_message(healthy.clone())]);
    for n in 0..600 {
        let mut held = healthy.clone();
        held.held = Some(format!("reason {n}"));
        harness.receive(at(n * 2), [presence_message(held)]);
        harness.receive(at(n * 2 + 1), [presence_message(healthy.clone())]);
    }
    assert_eq!(harness.app.feed.events().len(), MAX_EVENTS);
    assert_eq!(events(&harness)[1], "web1 held held: reason 599");
    harness.effects();
    harness.clock(at(1300));
    let saved = harness.effects().into_iter().find_map(|effect| match effect {
        Effect::SaveFeed(feed) => Some(feed),
        _ => None,
    });
    // It is not saved again without a change.
    harness.clock(at(1400));
    let count = harness.effects().iter().filter(|effect| matches!(effect, Effect::SaveFeed(_))).count();
    assert_eq!(count, 1, "the silence of the host");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("new/events");
    saved.unwrap().save(&file).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let read = EventFeed::load(&file).unwrap();
    assert_eq!(read.events().len(), MAX_EVENTS);
    assert_eq!(read.events().back().unwrap().text, "released");
    assert!(read.events().iter().map(|event| event.at).is_sorted());
}

#[test]
fn a_file_of_a_newer_version_or_with_escapes_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("events");
    assert_eq!(EventFeed::load(&file).unwrap().events().len(), 0);
    let text = r#"{"last_looked": null, "more": 1, "events": [
        {"at": "2026-11-20T10:00:00Z", "host": "web1", "kind": "moved", "text": "a\u001b[2Jb", "more": 2}]}"#;
    std::fs::write(&file, text).unwrap();
    let read = EventFeed::load(&file).unwrap();
    assert_eq!((read.events()[0].kind, read.events()[0].text.as_str()), (FeedKind::Other, "ab"));
    std::fs::write(&file, "{").unwrap();
    let error = EventFeed::load(&file).unwrap_err().to_string();
    assert!(error.contains("invalid events") && error.contains("starts empty"), "{error}");
}
