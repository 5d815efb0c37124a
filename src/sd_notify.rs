//! Reports the status of a service to systemd, if it runs under systemd.

use sd_notify::{NotifyState, notify};

/// The maximum length of a status, in characters: `systemctl status` shows one line.
const MAX_STATUS_CHARS: usize = 500;

/// The connection to systemd, with the last status sent.
#[derive(Default)]
pub struct ServiceNotifier {
    last_status: String,
}

impl ServiceNotifier {
    /// Reports that the service is ready. This does not wait for the NATS connection: an unreachable server must not
    /// make the service look failed.
    pub fn ready(&self) {
        send(&[NotifyState::Ready]);
    }

    /// Sends the status line, if it has changed.
    pub fn set_status(&mut self, status: &str) {
        let status = single_line(status);
        if status != self.last_status {
            send(&[NotifyState::Status(&status)]);
            self.last_status = status;
        }
    }
}

/// Reports why the service could not start; `systemctl status` shows it until the next attempt.
pub fn notify_start_failure(reason: &str) {
    send(&[NotifyState::Status(&single_line(reason))]);
}

/// Reports that the service is stopping on purpose.
pub fn notify_stopping() {
    send(&[NotifyState::Stopping]);
}

/// Joins the text into one line. A line break would start another message to systemd.
fn single_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_STATUS_CHARS).collect()
}

fn send(states: &[NotifyState<'_>]) {
    // Sending fails only without systemd, where the status is not needed.
    let _ = notify(states);
}
