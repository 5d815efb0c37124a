//! Configures the connection: applies the client library's events to the connection state, and explains its errors.

use super::backoff::reconnect_delay;
use super::connection_state::limit_advice;
use super::supervisor::Connector;
use super::{ConnectError, ConnectionSettings, auth};
use async_nats::{ConnectErrorKind, ConnectOptions};
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::watch;

/// The interval of pings on an idle connection.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The read buffer size in bytes. It limits how many messages wait to be parsed when thousands of hosts reply at once;
/// the rest stay in the system's buffers.
const READ_BUFFER: u16 = 8 * 1024;

/// The log throttle's kind for refused subjects. Anyone can cause these lines by requesting a reply on a subject that
/// the service may not publish on.
const VIOLATION_KIND: &str = "the server refused a subject";
/// The maximum number of these lines in ten seconds.
const MAX_VIOLATION_LINES: u32 = 20;

/// Returns options for the client library. Events wait until `opened` is true; when the event callback is dropped, the
/// connection's task has ended.
pub(super) fn client_options(connector: &Connector, opened: watch::Receiver<bool>) -> ConnectOptions {
    let Connector { settings, state, violations, log_throttle } = connector.clone();
    let mut options = auth::auth_options(&settings);
    if let Some(ca) = &settings.tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((cert, key)) = &settings.tls.identity {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    // This also applies to servers that other servers advertise, because those come without a URL scheme.
    options = options.require_tls(settings.requires_tls());
    let (on_event, on_delay, on_retry) = (state.clone(), state.clone(), state);
    let tls_settings = settings.clone();
    let before = on_delay.borrow().connects;
    options
        .name(&settings.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_secs(5))
        .subscription_capacity(settings.capacity.messages)
        .read_buffer_capacity(READ_BUFFER)
        .max_reconnects(None)
        .event_callback(move |event| {
            let (state, violations, mut opened) = (on_event.clone(), violations.clone(), opened.clone());
            let log_throttle = log_throttle.clone();
            async move {
                // The sender is dropped only when the connection is no longer needed.
                let _ = opened.wait_for(|opened| *opened).await;
                state.send_modify(|state| {
                    if let Some(violation) = state.apply(&event) {
                        let mut log_throttle = log_throttle.lock().unwrap_or_else(PoisonError::into_inner);
                        log_throttle.log_due();
                        if log_throttle.allows(VIOLATION_KIND, MAX_VIOLATION_LINES) {
                            tracing::warn!(subject = violation.subject, "{violation}");
                        }
                        // There may be no receivers.
                        let _ = violations.send(violation);
                    }
                });
            }
        })
        .reconnect_delay_callback(move |attempts| {
            let first = on_delay.borrow().connects == before;
            let delay = reconnect_delay(attempts, first);
            on_delay.send_modify(|state| state.record_retry(attempts, delay));
            delay
        })
        .reconnect_to_server_callback(move |servers, _| {
            // This callback only reads why the last attempt failed; the library still chooses the server.
            let reason = servers.iter().find_map(|server| server.last_error.clone());
            let reason = reason.map(|reason| tls_settings.explain_tls(&reason).unwrap_or(reason));
            on_retry.send_modify(|state| state.record_failure(reason));
            std::future::ready(None)
        })
}

pub(super) fn connect_error(settings: &ConnectionSettings, error: &async_nats::ConnectError) -> ConnectError {
    let url = settings.display_servers();
    if let Some(reason) = settings.explain_tls(&error.to_string()) {
        return ConnectError::Tls { url, reason };
    }
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(reason) = limit_advice(&reason) {
        return ConnectError::LimitReached { url, reason };
    }
    match error.kind() {
        ConnectErrorKind::Authentication if reason.contains(auth::INVALID_NONCE) => {
            ConnectError::InvalidNonce { url }
        }
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
            if settings.login().is_some() =>
        {
            ConnectError::LoginRejected { url }
        }
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            let key = settings.nkey.as_ref().map(|nkey| format!(" {}", nkey.public_key()));
            ConnectError::KeyRejected { url, key: key.unwrap_or_else(|| ": none was given".to_owned()) }
        }
        ConnectErrorKind::TimedOut => {
            ConnectError::Unreachable { url, reason: "no reply within 5 s".to_owned() }
        }
        _ => ConnectError::Unreachable { url, reason },
    }
}
