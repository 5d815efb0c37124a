//! Sentences that stand for a while. How a deployment ended is never lost: it waits for its turn.

use super::{App, Notice, Tone};
use crate::protocol::Id;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;

/// How long a notice stands, and how long where others wait.
const STANDS: SignedDuration = SignedDuration::from_secs(12);
const STANDS_BEFORE_OTHERS: SignedDuration = SignedDuration::from_secs(4);
/// How many wait at most.
const WAITING: usize = 100;

impl App {
    /// Says something for a while. What must be seen comes back afterwards.
    pub(super) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let said = self.notice.replace(self.standing(tone, text.into(), false));
        if let Some(lasting) = said.filter(|said| said.lasting) {
            self.waiting.push_front(lasting);
        }
    }

    /// Says that a deployment is being sent, until a host reports on it.
    pub(super) fn say_sending(&mut self, id: Id, text: String) {
        self.say(Tone::Busy, text);
        if let Some(notice) = &mut self.notice {
            notice.sends = Some(id);
        }
    }

    /// A host has reported on this deployment: it was sent.
    pub(super) fn note_sent(&mut self, id: &Id) {
        let sends = self.notice.as_ref().and_then(|notice| notice.sends.as_ref());
        let order = sends.and_then(|sends| self.orders.iter().find(|order| order.plan.id == *sends));
        if order.is_some_and(|order| order.is(id)) {
            self.dismiss();
            self.dirty = true;
        }
    }

    /// Says something that must be seen: after what else must be.
    pub(super) fn tell(&mut self, tone: Tone, text: impl Into<String>) {
        let notice = self.standing(tone, text.into(), true);
        if self.notice.as_ref().is_some_and(|notice| notice.lasting) {
            if self.waiting.len() == WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(notice);
        } else {
            self.notice = Some(notice);
        }
    }

    /// Takes the notice away that is shown; gives whether there was one. The next one takes its place.
    pub(super) fn dismiss(&mut self) -> bool {
        let shown = self.notice.take().is_some();
        self.notice = next(&mut self.waiting, self.now);
        shown
    }

    /// Takes away what has stood long enough.
    pub(super) fn age_notices(&mut self) {
        let stands = if self.waiting.is_empty() { STANDS } else { STANDS_BEFORE_OTHERS };
        let over = |notice: &Notice| self.now.duration_since(notice.since) > stands;
        if self.notice.as_ref().is_some_and(over) {
            self.dismiss();
        }
    }

    fn standing(&self, tone: Tone, text: String, lasting: bool) -> Notice {
        Notice { text, tone, lasting, sends: None, since: self.now }
    }
}

fn next(waiting: &mut VecDeque<Notice>, now: Timestamp) -> Option<Notice> {
    let notice = waiting.pop_front()?;
    Some(Notice { since: now, ..notice })
}
