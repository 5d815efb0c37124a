//! The notifications that wait for one target: their order, the limit of messages a minute, and the pauses between attempts.

use super::notification::{Notification, NotificationEvent};
use super::post::PostResult;
use crate::text::format::count;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// The most waiting notifications. Further ones are folded into one.
const MAX_WAITING: usize = 100;
/// The most titles in a folded notification.
const MAX_TITLES: usize = 8;
/// How long a notification is tried.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// The period of the limit.
const MINUTE: Duration = Duration::from_mins(1);
/// The first pause after a failed attempt, and the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_mins(5);

/// The notifications of one target. Only the waiting ones survive a restart.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Outbox {
    waiting: VecDeque<Notification>,
    /// When the target accepted or refused the last messages, at most as many as the limit.
    #[serde(skip)]
    posted_at: VecDeque<Instant>,
    /// Whether the first notification is being posted.
    #[serde(skip)]
    is_posting: bool,
    /// The number of failed attempts to post the first notification.
    #[serde(skip)]
    attempts: u32,
    #[serde(skip)]
    not_before: Option<Instant>,
    /// Why the last attempt failed.
    #[serde(skip)]
    problem: Option<String>,
}

/// What became of the first notification after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attempt {
    /// It was posted.
    Posted,
    /// It stays, and the reason is a new one.
    Failed(String),
    /// It stays, and the reason is the same as before.
    StillFailing,
    /// It was dropped, because the server refuses it or it is too old.
    Dropped(String),
}

impl Outbox {
    /// Adds a notification. If too many wait, they are folded into one.
    pub(super) fn add(&mut self, notification: Notification) {
        self.waiting.push_back(notification);
        if self.waiting.len() > MAX_WAITING {
            self.fold();
        }
    }

    /// Whether no notification waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes over the notifications that waited before a restart.
    pub(super) fn restore(&mut self, earlier: Self) {
        let added = std::mem::replace(&mut self.waiting, earlier.waiting);
        self.waiting.extend(added);
    }

    /// The next notification to post, if the limit and the pauses permit it. `is_last` ignores the pauses.
    pub(super) fn next(&mut self, limit: u32, now: Instant, is_last: bool) -> Option<Notification> {
        self.forget_posted(now);
        let is_paused = self.not_before.is_some_and(|not_before| now < not_before);
        let used = self.posted_at.len();
        let free = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(used);
        if self.is_posting || free == 0 || (is_paused && !is_last) {
            return None;
        }
        // A notification that was tried before may have arrived, so it does not change any more.
        if free == 1 && self.attempts == 0 && self.waiting.len() > 1 {
            self.fold();
        }
        let next = self.waiting.front().cloned()?;
        self.is_posting = true;
        Some(next)
    }

    /// Permits no further attempt in this process.
    pub(super) fn suspend(&mut self) {
        self.is_posting = true;
    }

    /// When [`Outbox::next`] may return something; `None` if not before another event.
    pub(super) fn due(&self, limit: u32) -> Option<Instant> {
        if self.is_posting || self.waiting.is_empty() {
            return None;
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let slot = self.posted_at.len().checked_sub(limit).and_then(|at| self.posted_at.get(at));
        let slot = slot.map(|posted| *posted + MINUTE);
        Some(slot.max(self.not_before).unwrap_or_else(Instant::now))
    }

    /// Handles the result of an attempt to post the first notification.
    pub(super) fn on_result(&mut self, result: PostResult, now: Timestamp) -> Attempt {
        self.is_posting = false;
        match result {
            PostResult::Posted => {
                self.take_first();
                self.problem = None;
                Attempt::Posted
            }
            PostResult::Refused { reason } => {
                self.take_first();
                self.problem = Some(reason.clone());
                Attempt::Dropped(reason)
            }
            PostResult::Retry { reason, pause } => {
                let is_old = self.waiting.front().is_some_and(|first| now.duration_since(first.at) > MAX_AGE);
                if is_old {
                    self.take_first();
                    self.problem = Some(reason.clone());
                    return Attempt::Dropped(format!("not posted for 24 hours; last {reason}"));
                }
                self.attempts += 1;
                let pause = pause.unwrap_or_default().max(backoff(self.attempts));
                self.not_before = Some(Instant::now() + pause);
                let is_new = self.problem.as_ref() != Some(&reason);
                self.problem = Some(reason.clone());
                if is_new { Attempt::Failed(reason) } else { Attempt::StillFailing }
            }
        }
    }

    /// A description for the status line; `None` if the target works and nothing waits.
    pub(super) fn describe(&self) -> Option<String> {
        let waiting: u64 = self.waiting.iter().map(Notification::weight).sum();
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        let waits = (waiting > 0).then(|| format!("{} waiting", count(waiting, "notification")));
        match (&self.problem, waits) {
            (None, waits) => waits,
            (Some(problem), None) => Some(problem.clone()),
            (Some(problem), Some(waits)) => Some(format!("{problem}, {waits}")),
        }
    }

    fn take_first(&mut self) {
        self.waiting.pop_front();
        self.posted_at.push_back(Instant::now());
        (self.attempts, self.not_before) = (0, None);
    }

    fn forget_posted(&mut self, now: Instant) {
        while self.posted_at.front().is_some_and(|posted| now.duration_since(*posted) >= MINUTE) {
            self.posted_at.pop_front();
        }
    }

    /// Folds the waiting notifications into one, except the first one if it was tried.
    fn fold(&mut self) {
        let from = usize::from(self.is_posting || self.attempts > 0);
        let folded: Vec<_> = self.waiting.drain(from..).collect();
        self.waiting.extend(several(&folded));
    }
}

/// One notification in place of several.
fn several(folded: &[Notification]) -> Option<Notification> {
    let (first, last) = (folded.first()?, folded.last()?);
    let total: u64 = folded.iter().map(Notification::weight).sum();
    let mut titles = Vec::new();
    for notification in folded {
        match notification.event {
            // Its last line is the number of those without a title.
            NotificationEvent::Several => {
                titles.extend(notification.message.lines().filter(|line| line.starts_with("- ")));
            }
            _ => titles.push(&notification.title),
        }
    }
    let shown = titles.iter().take(MAX_TITLES);
    let mut lines: Vec<_> = shown.map(|title| format!("- {}", title.trim_start_matches("- "))).collect();
    let more = total.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let title = format!("{total} more notifications");
    Some(Notification {
        result: folded.iter().filter_map(|notification| notification.result).max(),
        count: Some(total),
        at: first.at,
        ..Notification::new(NotificationEvent::Several, title, lines.join("\n"), last.at)
    })
}

/// The pause after this number of failed attempts, with jitter so that targets of one server do not call together.
fn backoff(attempts: u32) -> Duration {
    let longest = (FIRST_PAUSE * 2_u32.pow(attempts.saturating_sub(1).min(16))).min(MAX_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(title: &str) -> Notification {
        Notification::new(NotificationEvent::End, title.to_owned(), String::new(), Timestamp::now())
    }

    fn outbox(titles: impl IntoIterator<Item = String>) -> Outbox {
        let mut outbox = Outbox::default();
        titles.into_iter().for_each(|title| outbox.add(notification(&title)));
        outbox
    }

    /// Posts everything that may be posted now; returns the titles.
    fn post_all(outbox: &mut Outbox, limit: u32, now: Instant) -> Vec<String> {
        let mut titles = Vec::new();
        while let Some(next) = outbox.next(limit, now, false) {
            titles.push(next.title);
            assert_eq!(outbox.on_result(PostResult::Posted, Timestamp::now()), Attempt::Posted);
        }
        titles
    }

    #[test]
    fn what_exceeds_the_limit_is_folded_into_one_notification() {
        let mut outbox = outbox((1..=30).map(|n| format!("n{n}")));
        let now = Instant::now();
        assert_eq!(post_all(&mut outbox, 3, now), ["n1", "n2", "28 more notifications"]);
        outbox.add(notification("n31"));
        assert_eq!(post_all(&mut outbox, 3, now), [""; 0]);
        let due = outbox.due(3).expect("a time");
        assert!(due > now + Duration::from_secs(55), "{:?}", due - now);
        assert_eq!(post_all(&mut outbox, 3, due + Duration::from_secs(1)), ["n31"]);
        assert_eq!(outbox.due(3), None);
    }

    #[test]
    fn a_folded_notification_lists_the_first_titles() {
        let mut outbox = outbox((1..=20).map(|n| format!("n{n}")));
        let folded = outbox.next(1, Instant::now(), false).expect("a notification");
        assert_eq!(folded.message, "- n1\n- n2\n- n3\n- n4\n- n5\n- n6\n- n7\n- n8\nand 12 more");
        outbox.is_posting = false;
        outbox.add(notification("n21"));
        let folded = outbox.next(1, Instant::now(), false).expect("a notification");
        assert_eq!((&*folded.title, folded.count), ("21 more notifications", Some(21)));
        assert!(folded.message.ends_with("- n8\nand 13 more"), "{}", folded.message);
    }

    #[test]
    fn the_queue_is_bounded_and_counts_everything() {
        let mut outbox = outbox((1..=1000).map(|n| format!("n{n}")));
        assert!(outbox.waiting.len() <= MAX_WAITING);
        let total: u64 = outbox.waiting.iter().map(Notification::weight).sum();
        assert_eq!(total, 1000);
        assert_eq!(outbox.describe().as_deref(), Some("1000 notifications waiting"));
        // The one that is being posted stays.
        let first = outbox.next(600, Instant::now(), false).expect("a notification");
        (1..=1000).for_each(|n| outbox.add(notification(&format!("m{n}"))));
        assert_eq!(outbox.waiting[0], first);
    }

    #[test]
    fn a_failed_attempt_is_repeated_after_a_pause_with_the_same_id() {
        let mut outbox = outbox(["n1".to_owned(), "n2".to_owned()]);
        let first = outbox.next(1, Instant::now(), false).expect("a notification");
        let failed = |reason: &str, pause| PostResult::Retry { reason: reason.to_owned(), pause };
        let attempt = outbox.on_result(failed("timed out", None), Timestamp::now());
        assert_eq!(attempt, Attempt::Failed("timed out".to_owned()));
        assert_eq!(outbox.next(1, Instant::now(), false), None);
        let later = Instant::now() + Duration::from_secs(2);
        assert_eq!(outbox.next(1, later, false), Some(first.clone()));
        let pause = Some(Duration::from_secs(100));
        assert_eq!(outbox.on_result(failed("timed out", pause), Timestamp::now()), Attempt::StillFailing);
        assert!(outbox.due(1).is_some_and(|due| due > Instant::now() + Duration::from_secs(98)));
        // A pause does not prevent the last attempt before the end.
        assert_eq!(outbox.next(1, Instant::now(), true), Some(first));
        assert!(outbox.describe().is_some_and(|text| text == "timed out, 2 notifications waiting"));
    }

    #[test]
    fn a_refused_or_old_notification_is_dropped() {
        let mut outbox = outbox(["n1".to_owned(), "n2".to_owned()]);
        outbox.next(5, Instant::now(), false);
        let refused = PostResult::Refused { reason: "HTTP 403".to_owned() };
        assert_eq!(outbox.on_result(refused, Timestamp::now()), Attempt::Dropped("HTTP 403".to_owned()));
        let second = outbox.next(5, Instant::now(), false).expect("a notification");
        assert_eq!(second.title, "n2");
        let tomorrow = Timestamp::now() + SignedDuration::from_hours(25);
        let failed = PostResult::Retry { reason: "HTTP 500".to_owned(), pause: None };
        assert!(matches!(outbox.on_result(failed, tomorrow), Attempt::Dropped(_)));
        assert!(outbox.is_empty());
    }

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let pauses: Vec<_> = (1..=20).map(|attempts| backoff(attempts).as_secs_f64()).collect();
        assert!((0.5..=1.0).contains(&pauses[0]) && (1.0..=2.0).contains(&pauses[1]), "{pauses:?}");
        assert!(pauses[9..].iter().all(|pause| (150.0..=300.0).contains(pause)), "{pauses:?}");
    }
}
