//! Hearing another client: what confirms a host that reaches its NATS server over an address of its own, or that others
//! are reached through.

use super::Config;
use super::reporter::Reporter;
use crate::bus::{Bus, LinkError, Received, Subscription};
use crate::jobs::{PeersBefore, now};
use crate::keys::signer;
use crate::protocol::{Ask, HostAnswer, Id, Name, PRESENCE, Purpose, ReplyTo, Want, WireError};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout_at};

/// How often hosts are asked to announce themselves.
const AGAIN: Duration = Duration::from_secs(5);
/// The longest pause before a host does: a fleet must not connect all at once.
const JITTER: Duration = Duration::from_secs(2);
/// How long the NATS server may take to read an announcement.
const DELIVERED: Duration = Duration::from_secs(5);
/// How long another client is listened for before an activation. Hosts announce themselves every 30 s.
const BEFORE: Duration = Duration::from_secs(35);
/// The same where health checks can take its place.
const BEFORE_CHECKS: Duration = Duration::from_secs(5);

/// Which hosts count as another client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peers {
    /// Any other host.
    Any,
    /// One of these.
    Hosts(Vec<Name>),
}

impl FromStr for Peers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let host = |name: &str| match Name::new(name.trim()) {
            Ok(host) if host.as_str() != "any" => Ok(host),
            Ok(_) => Err("any stands alone; write any, or host names with commas".to_owned()),
            Err(error) => Err(format!("{error}; write any, or host names with commas")),
        };
        text.split(',').map(host).collect::<Result<_, _>>().map(Self::Hosts)
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any other host"),
            Self::Hosts(hosts) => {
                let names: Vec<_> = hosts.iter().map(Name::as_str).collect();
                write!(f, "one of {}", names.join(", "))
            }
        }
    }
}

impl Peers {
    fn includes(&self, host: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Hosts(hosts) => hosts.contains(host),
        }
    }
}

/// Who was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// An operator, over a connection that was made for it.
    Operator,
    /// A host, over a connection that was made for it.
    FreshHost(Name),
    /// A host.
    Host(Name),
}

impl Heard {
    /// Whether it is enough for a host that heard `before` before the activation. A connection of before may live on where no
    /// new one can be made, so an announcement over it counts only if nothing better was to be had, and if the activation
    /// touched nothing that connections depend on.
    fn is_enough(&self, before: PeersBefore, touched: bool) -> bool {
        match self {
            Self::Operator | Self::FreshHost(_) => true,
            Self::Host(_) => !touched && matches!(before, PeersBefore::Hosts | PeersBefore::NotNeeded),
        }
    }

    fn as_before(&self) -> PeersBefore {
        match self {
            Self::Operator => PeersBefore::Operator,
            Self::FreshHost(_) => PeersBefore::FreshHosts,
            Self::Host(_) => PeersBefore::Hosts,
        }
    }
}

/// Whether only another client can confirm this host.
pub(super) async fn are_needed(config: &Config) -> bool {
    config.confirm_peers.is_some() || config.settings.has_local_server().await
}

/// Which client can be heard before an activation, so that the same can be asked for after it. `Err` says why none can.
pub(super) async fn before(
    config: &Config,
    wanted: &watch::Sender<Option<String>>,
) -> Result<PeersBefore, String> {
    if !are_needed(config).await {
        return Ok(PeersBefore::NotNeeded);
    }
    let has_checks = config.confirm_peers.is_none() && !config.rules.health_checks.is_empty();
    let patience = if has_checks { BEFORE_CHECKS } else { BEFORE };
    let bus = Bus::once(&config.settings).await.map_err(|error| error.to_string())?;
    let mut ears = Ears::open(&bus, config).await.map_err(|error| error.to_string())?;
    let nonce = format!("{:016x}", fastrand::u64(..));
    let mut until = Instant::now() + patience;
    let mut best = None;
    while let Some(heard) = ears.hear(config, &nonce, wanted, until).await {
        if heard.is_enough(PeersBefore::FreshHosts, true) {
            return Ok(heard.as_before());
        }
        // One that makes a connection for it is better; those that do so answer soon.
        if best.is_none() {
            until = until.min(Instant::now() + AGAIN);
        }
        best = Some(heard);
    }
    match best {
        Some(heard) => Ok(heard.as_before()),
        // Named hosts are asked for by who named them: nothing takes their place.
        None if has_checks => Ok(PeersBefore::Alone),
        None => Err(nobody(config, patience)),
    }
}

/// Why a host is not changed that heard no other client.
fn nobody(config: &Config, patience: Duration) -> String {
    let seconds = patience.as_secs();
    let follow = format!(
        "{}, or let this host's key hear other hosts (`confirm_peers = true` in the fleet file)",
        follow(config)
    );
    match &config.confirm_peers {
        Some(peers) => format!(
            "--confirm-peers asks for {peers} to confirm this host, and none was heard within {seconds} s; {follow}"
        ),
        None => format!(
            "this host reaches its NATS server over an address of its own, so only another client can confirm that others \
             reach it too, and none was heard within {seconds} s; {follow}, or give its listener a --health-check"
        ),
    }
}

/// What lets an operator confirm this host.
pub(super) fn follow(config: &Config) -> &'static str {
    if config.trusted_keys.is_empty() {
        "follow the deployment with an operator"
    } else {
        "follow the deployment with an operator whose key is trusted here"
    }
}

/// Whether an operator may confirm this host: where keys are trusted, one of them must have signed that.
fn is_permitted(config: &Config, received: &Received<Result<Ask, WireError>>) -> bool {
    let Received { subject, headers, payload, .. } = received;
    let (trusted, fleet) = (&config.trusted_keys, config.settings.fleet.as_ref());
    if trusted.is_empty() {
        return true;
    }
    match signer(Purpose::Query, trusted, fleet, now(), subject, payload, headers) {
        Ok(_) => true,
        Err(refused) => {
            tracing::debug!(?refused, "an operator whose key is not trusted does not confirm this host");
            false
        }
    }
}

/// What is listened to for other clients.
pub(super) struct Ears<'a> {
    bus: &'a Bus,
    queries: Subscription<Result<Ask, WireError>>,
    presence: Subscription<Result<HostAnswer, WireError>>,
    again: Interval,
}

impl<'a> Ears<'a> {
    /// Listens on a fresh connection. A NATS server that does not let this key hear the presence of hosts leaves operators.
    pub(super) async fn open(bus: &'a Bus, config: &Config) -> Result<Self, LinkError> {
        let queries = bus.subscribe(&config.discover_subject, |_, payload| Ask::parse(payload)).await?;
        let presence = bus.subscribe(PRESENCE, |_, payload| HostAnswer::parse(payload)).await?;
        let mut again = interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { bus, queries, presence, again })
    }

    /// Waits until another client is heard, and asks for it: hosts by a query, operators by what the job's report says.
    pub(super) async fn hear(
        &mut self,
        config: &Config,
        nonce: &str,
        wanted: &watch::Sender<Option<String>>,
        until: Instant,
    ) -> Option<Heard> {
        wanted.send_replace(Some(nonce.to_owned()));
        let _ended = Withdraw(wanted);
        let mut ask = Ask::new(ReplyTo::answers(Id::new(nonce).ok()?));
        ask.want = Some(Want::Presence);
        ask.confirm = Some(nonce.to_owned());
        if let Some(Peers::Hosts(hosts)) = &config.confirm_peers {
            ask.hosts.clone_from(hosts);
        }
        let listening = async {
            loop {
                let heard = tokio::select! {
                    _ = self.again.tick() => {
                        // A key without the right to ask leaves operators, and what hosts announce unasked.
                        let _ = self.bus.publish(&config.discover_subject, ask.encode()).await;
                        None
                    }
                    received = self.queries.next() => received.message.as_ref().and_then(|ask| {
                        let ask = ask.as_ref().ok()?;
                        let is_answer = ask.confirm.as_deref() == Some(nonce) && ask.wanted() != Want::Presence;
                        (is_answer && is_permitted(config, &received)).then_some(Heard::Operator)
                    }),
                    received = self.presence.next() => received.message.and_then(|answer| {
                        let answer = answer.ok()?;
                        let peers = config.confirm_peers.as_ref().unwrap_or(&Peers::Any);
                        if answer.hostname == config.hostname
                            || answer.online == Some(false)
                            || !peers.includes(&answer.hostname)
                        {
                            return None;
                        }
                        let is_fresh = answer.confirm.as_ref().is_some_and(|heard| heard.as_str() == nonce);
                        Some(if is_fresh { Heard::FreshHost(answer.hostname) } else { Heard::Host(answer.hostname) })
                    }),
                };
                if let Some(heard) = heard {
                    return heard;
                }
            }
        };
        timeout_at(until, listening).await.ok()
    }

    /// Waits for a client that is enough after an activation.
    pub(super) async fn hear_enough(
        &mut self,
        config: &Config,
        nonce: &str,
        wanted: &watch::Sender<Option<String>>,
        until: Instant,
        (before, touched): (PeersBefore, bool),
    ) -> bool {
        while let Some(heard) = self.hear(config, nonce, wanted, until).await {
            if heard.is_enough(before, touched) {
                return true;
            }
        }
        false
    }
}

/// Takes back what operators were asked for.
struct Withdraw<'a>(&'a watch::Sender<Option<String>>);

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Announces this host over a fresh connection, because another one asks to hear it.
pub(super) async fn announce(config: &Config, answer: HostAnswer) {
    sleep(JITTER.mul_f64(fastrand::f64())).await;
    let announced = async {
        let bus = Bus::once(&config.settings).await.map_err(|error| error.to_string())?;
        let sent = Reporter::announce(&bus, &answer).await;
        sent.map_err(|error| error.to_string())?;
        bus.ping(DELIVERED).await.map_err(|error| error.to_string())
    };
    if let Err(error) = announced.await {
        tracing::warn!(error, "failed to announce this host over a fresh connection");
    }
}
