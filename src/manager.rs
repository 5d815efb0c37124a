//! Tells the service manager how a service stands, where one runs it.

use sd_notify::{NotifyState, notify};

/// The longest sentence, in characters: `systemctl status` shows one line.
const LONGEST: usize = 500;

/// The service manager, and what it was told last.
pub struct Manager {
    said: String,
}

impl Manager {
    /// The state is loaded and the service serves. That is before the link is up: a broker that is away must not make the
    /// service look failed.
    pub fn ready() -> Self {
        say(&[NotifyState::Ready]);
        Self { said: String::new() }
    }

    /// How it stands in one sentence, where that has changed.
    pub fn stands(&mut self, sentence: &str) {
        let sentence = line(sentence);
        if sentence != self.said {
            say(&[NotifyState::Status(&sentence)]);
            self.said = sentence;
        }
    }
}

/// Tells why the service could not start; `systemctl status` shows it until the next attempt.
pub fn could_not_start(why: &str) {
    say(&[NotifyState::Status(&line(why))]);
}

/// The service goes away by itself.
pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// One line: a second one would be another message to the manager.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect()
}

fn say(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = notify(states);
}
