//! Which hosts are behind: when the heads of their branch are looked up, and what follows.

use super::{App, Effect, Tone};
use crate::fleet::{Heads, Host, Lag};
use jiff::SignedDuration;

/// How long the head of a branch is believed, and how soon it may be looked up again where it is doubted.
const HEADS_AGAIN: SignedDuration = SignedDuration::from_mins(5);
const HEADS_SOON: SignedDuration = SignedDuration::from_secs(5);

impl App {
    /// Whether a host does not run the head of the branch that it should run.
    pub fn is_behind(&self, host: &Host) -> bool {
        self.heads.as_ref().is_some_and(|heads| matches!(heads.lag(host), Lag::Behind { .. }))
    }

    /// The heads to look up, where it is time for that: a branch moves without a word.
    pub(super) fn look_up_heads(&mut self) -> Option<Effect> {
        let branch = self.options.follows.clone()?;
        let hosts = self.fleet.hosts.len();
        if let Some((asked, of)) = self.heads_asked {
            let wait = if of == hosts { HEADS_AGAIN } else { HEADS_SOON };
            if self.now.duration_since(asked) < wait {
                return None;
            }
        }
        let error = self.fleet.flake_errors().into_values().next();
        if let Some(error) = error.map(|error| error.to_string()) {
            self.heads_asked = Some((self.now, hosts));
            self.say(Tone::Warn, error);
        }
        let flakes = self.fleet.flakes();
        if flakes.is_empty() {
            return None;
        }
        self.heads_asked = Some((self.now, hosts));
        Some(Effect::Heads(flakes, branch))
    }

    /// A host runs a commit that was no head when that was last looked up: the branch has moved.
    pub(super) fn doubt_heads(&mut self, commit: &str) {
        let known = |heads: &Heads| heads.of.values().flatten().any(|head| head == commit);
        if let (Some(heads), Some((_, of))) = (&self.heads, &mut self.heads_asked)
            && !known(heads)
        {
            // As if there had been other hosts.
            *of = usize::MAX;
        }
    }
}
