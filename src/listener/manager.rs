//! Tells the service manager how the listener stands, where one runs it. It is ready before the link is up: a broker that is
//! away must not make the service look failed.

use sd_notify::{NotifyState, notify};

/// The state is loaded and the listener serves.
pub(super) fn ready() {
    say(&[NotifyState::Ready]);
}

/// A sentence that `systemctl status` shows.
pub(super) fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

/// It goes away by itself.
pub(super) fn stopping() {
    say(&[NotifyState::Stopping]);
}

fn say(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = notify(states);
}
