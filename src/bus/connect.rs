//! Makes the connection in either manner and folds its events into the state of the link.

use super::link::{Link, beyond_limit};
use super::ping::Pinger;
use super::supervisor::{Maker, Supervised};
use super::{Bus, ConnectError, Settings, sign_in};
use async_nats::{ConnectErrorKind, ConnectOptions};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// The longest pause between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// How often an idle link is tested.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How much is read at once, in bytes. What is read at a time sets how many messages wait to be parsed when thousands
/// of hosts answer at once; the others wait in the system's buffers.
const READ_BUFFER: u16 = 8 * 1024;

/// A kind of line that anyone can cause who may have a service reply where its key may not publish.
const REFUSED: &str = "the server refused a subject";
/// How many of them are logged in ten seconds.
const MOST_REFUSED: u32 = 20;

pub(super) async fn connect(settings: &Settings, lasting: bool) -> Result<Bus, ConnectError> {
    let (link_out, link) = watch::channel(Link::default());
    let (refusals, _) = broadcast::channel(64);
    let settings = Arc::new(settings.clone());
    let counts = Arc::new(link_out);
    let maker = Maker {
        settings: settings.clone(),
        link: counts.clone(),
        refusals: refusals.clone(),
        log_fold: Arc::default(),
    };
    let (client, gate) = maker.make(lasting).await.map_err(|error| explain(&settings, &error))?;
    let pinger = Arc::new(Pinger::new(settings.ping_subject.clone()));
    let supervised = Supervised::start(maker, client, gate);
    let bus = Bus { supervised, link, counts, refusals, pinger, settings };
    if !lasting {
        // The event that tells of the connection follows on its heels.
        let _ = bus.link().wait_for(|link| link.up).await;
    }
    Ok(bus)
}

/// How a client is set up. Its events wait until it is `opened`; once they have ended, so has its connection's task.
pub(super) fn options(maker: &Maker, opened: watch::Receiver<bool>) -> ConnectOptions {
    let Maker { settings, link, refusals, log_fold } = maker.clone();
    let mut options = sign_in::options(&settings);
    if let Some(ca) = &settings.tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    if let Some((cert, key)) = &settings.tls.identity {
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    // Also of servers that are only heard of, for those come without their scheme.
    options = options.require_tls(settings.insists_on_tls());
    let (on_event, on_delay, on_retry) = (link.clone(), link.clone(), link);
    let told = settings.clone();
    let before = on_delay.borrow().connects;
    options
        .name(&settings.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_secs(5))
        .subscription_capacity(settings.capacity.messages)
        .read_buffer_capacity(READ_BUFFER)
        .max_reconnects(None)
        .event_callback(move |event| {
            let (link, refusals, mut opened) = (on_event.clone(), refusals.clone(), opened.clone());
            let log_fold = log_fold.clone();
            async move {
                // Its other end is gone only when no one wants the connection any more.
                let _ = opened.wait_for(|opened| *opened).await;
                link.send_modify(|link| {
                    if let Some(refusal) = link.apply(&event) {
                        let mut log_fold = log_fold.lock().unwrap_or_else(PoisonError::into_inner);
                        log_fold.log_due();
                        if log_fold.allows(REFUSED, MOST_REFUSED) {
                            tracing::warn!(subject = refusal.subject, "{refusal}");
                        }
                        // Nobody needs to be waiting for it.
                        let _ = refusals.send(refusal);
                    }
                });
            }
        })
        .reconnect_delay_callback(move |attempts| {
            let first = on_delay.borrow().connects == before;
            let delay = delay(attempts, first);
            on_delay.send_modify(|link| link.retrying(attempts, delay));
            delay
        })
        .reconnect_to_server_callback(move |servers, _| {
            // Only to learn why the last attempt failed: the library's own choice of the server stands.
            let reason = servers.iter().find_map(|server| server.last_error.clone());
            let reason = reason.map(|reason| told.explain_tls(&reason).unwrap_or(reason));
            on_retry.send_modify(|link| link.failed(reason));
            std::future::ready(None)
        })
}

/// Grows to [`MAX_DELAY`], with jitter, so that a fleet does not come back all at once. Only the very first attempt
/// of a client is made without delay.
fn delay(attempts: usize, first: bool) -> Duration {
    if first && attempts <= 1 {
        return Duration::ZERO;
    }
    let step = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    let longest = (Duration::from_millis(250) * 2_u32.pow(step)).min(MAX_DELAY);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn explain(settings: &Settings, error: &async_nats::ConnectError) -> ConnectError {
    let url = settings.shown();
    if let Some(reason) = settings.explain_tls(&error.to_string()) {
        return ConnectError::Tls { url, reason };
    }
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(reason) = beyond_limit(&reason) {
        return ConnectError::Full { url, reason };
    }
    match error.kind() {
        ConnectErrorKind::Authentication if reason.contains(sign_in::NOT_A_NONCE) => {
            ConnectError::NotANonce { url }
        }
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication
            if settings.login().is_some() =>
        {
            ConnectError::LoginRefused { url }
        }
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            let key = settings.seed.as_ref().map(|seed| format!(" {}", seed.public_key()));
            ConnectError::KeyRefused { url, key: key.unwrap_or_else(|| ": none was given".to_owned()) }
        }
        ConnectErrorKind::TimedOut => {
            ConnectError::Unreachable { url, reason: "no answer within 5 s".to_owned() }
        }
        _ => ConnectError::Unreachable { url, reason },
    }
}
