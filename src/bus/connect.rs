//! Makes the connection in either manner and folds its events into the state of the link.

use super::link::{Link, Refusal};
use super::ping::Pinger;
use super::{Bus, ConnectError, Settings};
use async_nats::{ConnectErrorKind, ConnectOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// The longest pause between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// How often an idle link is tested.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How many messages of one subscription may wait to be read before some are dropped: a minute of a fleet at
/// full speed.
const SUBSCRIPTION_CAPACITY: usize = 256 * 1024;
/// How much is read at once, in bytes. What is read at a time sets how many messages wait to be parsed when thousands
/// of hosts answer at once; the others wait in the system's buffers.
const READ_BUFFER: u16 = 8 * 1024;

pub(super) async fn connect(settings: &Settings, lasting: bool) -> Result<Bus, ConnectError> {
    let (link_out, link) = watch::channel(Link::default());
    let (refusals, _) = broadcast::channel(64);
    let mut options = options(settings, Arc::new(link_out), refusals.clone());
    if lasting {
        options = options.retry_on_initial_connect();
    }
    let client = options.connect(settings.servers()).await.map_err(|error| explain(settings, &error))?;
    let pinger = Arc::new(Pinger::new(settings.ping_subject.clone()));
    let bus = Bus { client, link, refusals, pinger, settings: Arc::new(settings.clone()) };
    if !lasting {
        // The event that tells of the connection follows on its heels.
        let _ = bus.link().wait_for(|link| link.up).await;
    }
    Ok(bus)
}

fn options(
    settings: &Settings,
    link: Arc<watch::Sender<Link>>,
    refusals: broadcast::Sender<Refusal>,
) -> ConnectOptions {
    let mut options = match &settings.seed {
        Some(seed) => ConnectOptions::with_nkey(seed.secret()),
        None => ConnectOptions::new(),
    };
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
    options
        .name(&settings.name)
        .ping_interval(PING_INTERVAL)
        .connection_timeout(Duration::from_secs(5))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .read_buffer_capacity(READ_BUFFER)
        .max_reconnects(None)
        .event_callback(move |event| {
            on_event.send_modify(|link| {
                if let Some(refusal) = link.apply(&event) {
                    tracing::warn!(subject = refusal.subject, "{refusal}");
                    // Nobody needs to be waiting for it.
                    let _ = refusals.send(refusal);
                }
            });
            std::future::ready(())
        })
        .reconnect_delay_callback(move |attempts| {
            let first = on_delay.borrow().connects == 0;
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
/// of all is made without delay.
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
    match error.kind() {
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
