//! Detection of other clients. They confirm a host that reaches its NATS server through one of its own addresses, or
//! that other hosts depend on to reach it.

use super::ListenerConfig;
use super::reporter::ListenerReporter;
use crate::clock::now;
use crate::jobs::PeerBaseline;
use crate::keys::verify_signer;
use crate::nats::{Client, NatsError, Received, Subscription};
use crate::protocol::{Id, Name, PRESENCE, Presence, Purpose, Query, QueryKind, ReplyTo, WireError};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, timeout_at};

/// Interval between two queries that ask hosts to announce themselves.
const QUERY_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum random pause before a host announces itself, so that a fleet does not connect all at once.
const JITTER: Duration = Duration::from_secs(2);
/// How long the NATS server may take to acknowledge a presence message.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for another client before an activation. Hosts announce themselves every 30 s.
const BASELINE_TIMEOUT: Duration = Duration::from_secs(35);
/// The same if health checks can replace another client.
const BASELINE_TIMEOUT_WITH_CHECKS: Duration = Duration::from_secs(5);

/// Which hosts count as another client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmPeers {
    /// Any other host.
    Any,
    /// One of these hosts.
    Hosts(Vec<Name>),
}

impl FromStr for ConfirmPeers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let host = |name: &str| match Name::new(name.trim()) {
            Ok(host) if host.as_str() != "any" => Ok(host),
            Ok(_) => Err("any excludes host names; write any, or host names separated by commas".to_owned()),
            Err(error) => Err(format!("{error}; write any, or host names separated by commas")),
        };
        text.split(',').map(host).collect::<Result<_, _>>().map(Self::Hosts)
    }
}

impl fmt::Display for ConfirmPeers {
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

impl ConfirmPeers {
    fn includes(&self, host: &Name) -> bool {
        match self {
            Self::Any => true,
            Self::Hosts(hosts) => hosts.contains(host),
        }
    }
}

/// A client that responded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Peer {
    /// An operator, over a connection made for this confirmation.
    Operator,
    /// A host, over a connection made for this confirmation.
    FreshHost(Name),
    /// A host, over an existing connection.
    Host(Name),
}

impl Peer {
    /// Whether this peer confirms a host whose best peer before the activation was `baseline`. An old connection may
    /// survive although no new one can be made. So a host over an old connection counts only if there was nothing
    /// better before and the activation touched nothing that connections depend on.
    fn is_sufficient(&self, baseline: PeerBaseline, touched: bool) -> bool {
        match self {
            Self::Operator | Self::FreshHost(_) => true,
            Self::Host(_) => !touched && matches!(baseline, PeerBaseline::Hosts | PeerBaseline::NotNeeded),
        }
    }

    fn as_baseline(&self) -> PeerBaseline {
        match self {
            Self::Operator => PeerBaseline::Operator,
            Self::FreshHost(_) => PeerBaseline::FreshHosts,
            Self::Host(_) => PeerBaseline::Hosts,
        }
    }
}

/// Whether only another client can confirm this host.
pub(super) async fn is_peer_required(config: &ListenerConfig) -> bool {
    config.confirm_peers.is_some() || config.settings.has_local_server().await
}

/// Finds a client that is reachable before an activation, to require the same kind after it. `Err` explains why there is
/// none.
pub(super) async fn find_baseline(
    config: &ListenerConfig,
    nonce_sender: &watch::Sender<Option<String>>,
) -> Result<PeerBaseline, String> {
    if !is_peer_required(config).await {
        return Ok(PeerBaseline::NotNeeded);
    }
    let has_checks = config.confirm_peers.is_none() && !config.rules.health_checks.is_empty();
    let limit = if has_checks { BASELINE_TIMEOUT_WITH_CHECKS } else { BASELINE_TIMEOUT };
    let nats = Client::connect(&config.settings).await.map_err(|error| error.to_string())?;
    let mut peer_watch = PeerWatch::open(&nats, config).await.map_err(|error| error.to_string())?;
    let nonce = format!("{:016x}", fastrand::u64(..));
    let mut until = Instant::now() + limit;
    let mut best = None;
    while let Some(peer) = peer_watch.next_peer(config, &nonce, nonce_sender, until).await {
        if peer.is_sufficient(PeerBaseline::FreshHosts, true) {
            return Ok(peer.as_baseline());
        }
        // A host that makes a new connection is better; such hosts respond soon.
        if best.is_none() {
            until = until.min(Instant::now() + QUERY_INTERVAL);
        }
        best = Some(peer);
    }
    match best {
        Some(peer) => Ok(peer.as_baseline()),
        // Health checks do not replace hosts that the configuration names.
        None if has_checks => Ok(PeerBaseline::HealthChecks),
        None => Err(no_peer_message(config, limit)),
    }
}

/// Why a host without another client is not changed.
fn no_peer_message(config: &ListenerConfig, limit: Duration) -> String {
    let seconds = limit.as_secs();
    let advice = format!(
        "{}, or allow this host's key to receive the presence of other hosts (`confirm_peers = true` in the fleet file)",
        operator_advice(config)
    );
    match &config.confirm_peers {
        Some(peers) => format!(
            "--confirm-peers requires {peers} to confirm this host, but none responded within {seconds} s; {advice}"
        ),
        None => format!(
            "this host reaches its NATS server through one of its own addresses, so only another client can confirm that it \
             is reachable, but none responded within {seconds} s; {advice}, or give its listener a --health-check"
        ),
    }
}

/// The advice for a host that no operator has confirmed.
pub(super) fn operator_advice(config: &ListenerConfig) -> &'static str {
    if config.trusted_keys.is_empty() {
        "follow the deployment with an operator"
    } else {
        "follow the deployment with an operator whose key is trusted here"
    }
}

/// Whether an operator may confirm this host: with trusted keys, one of them must have signed the confirmation.
fn is_permitted(config: &ListenerConfig, received: &Received<Result<Query, WireError>>) -> bool {
    let Received { subject, headers, payload, .. } = received;
    let (trusted, fleet) = (&config.trusted_keys, config.settings.fleet.as_ref());
    match verify_signer(Purpose::Query, trusted, fleet, now(), subject, payload, headers) {
        Ok(_) => true,
        Err(refused) => {
            tracing::debug!(?refused, "ignored a confirmation: the operator's key is not trusted");
            false
        }
    }
}

/// The subscriptions that detect other clients.
pub(super) struct PeerWatch<'a> {
    nats: &'a Client,
    queries: Subscription<Result<Query, WireError>>,
    presence: Subscription<Result<Presence, WireError>>,
    query_timer: Interval,
}

impl<'a> PeerWatch<'a> {
    /// Subscribes on a new connection. If the NATS server denies the presence of hosts, only operators are detected.
    pub(super) async fn open(nats: &'a Client, config: &ListenerConfig) -> Result<Self, NatsError> {
        let queries = nats.subscribe(&config.discover_subject, |_, payload| Query::parse(payload)).await?;
        let presence = nats.subscribe(PRESENCE, |_, payload| Presence::parse(payload)).await?;
        let mut query_timer = interval(QUERY_INTERVAL);
        query_timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { nats, queries, presence, query_timer })
    }

    /// Waits for another client, after asking hosts by a query and operators by the nonce in the job's report.
    pub(super) async fn next_peer(
        &mut self,
        config: &ListenerConfig,
        nonce: &str,
        nonce_sender: &watch::Sender<Option<String>>,
        until: Instant,
    ) -> Option<Peer> {
        nonce_sender.send_replace(Some(nonce.to_owned()));
        let _ended = ClearOnDrop(nonce_sender);
        let mut query = Query::new(ReplyTo::replies(Id::new(nonce).ok()?));
        query.query = Some(QueryKind::Presence);
        query.confirm = Some(nonce.to_owned());
        if let Some(ConfirmPeers::Hosts(hosts)) = &config.confirm_peers {
            query.hosts.clone_from(hosts);
        }
        let waiting = async {
            loop {
                let peer = tokio::select! {
                    _ = self.query_timer.tick() => {
                        // Without permission to query, operators and unrequested presence messages remain.
                        let _ = self.nats.publish(&config.discover_subject, query.encode()).await;
                        None
                    }
                    received = self.queries.next() => received.message.as_ref().and_then(|query| {
                        let query = query.as_ref().ok()?;
                        let is_confirmation = query.confirm.as_deref() == Some(nonce) && query.kind() != QueryKind::Presence;
                        (is_confirmation && is_permitted(config, &received)).then_some(Peer::Operator)
                    }),
                    received = self.presence.next() => received.message.and_then(|presence| {
                        let presence = presence.ok()?;
                        let peers = config.confirm_peers.as_ref().unwrap_or(&ConfirmPeers::Any);
                        if presence.hostname == config.hostname
                            || presence.online == Some(false)
                            || !peers.includes(&presence.hostname)
                        {
                            return None;
                        }
                        let is_fresh = presence.confirm.as_ref().is_some_and(|peer| peer.as_str() == nonce);
                        Some(if is_fresh { Peer::FreshHost(presence.hostname) } else { Peer::Host(presence.hostname) })
                    }),
                };
                if let Some(peer) = peer {
                    return peer;
                }
            }
        };
        timeout_at(until, waiting).await.ok()
    }

    /// Waits for a client that is sufficient after an activation.
    pub(super) async fn wait_for_sufficient_peer(
        &mut self,
        config: &ListenerConfig,
        nonce: &str,
        nonce_sender: &watch::Sender<Option<String>>,
        until: Instant,
        (baseline, touched): (PeerBaseline, bool),
    ) -> bool {
        while let Some(peer) = self.next_peer(config, nonce, nonce_sender, until).await {
            if peer.is_sufficient(baseline, touched) {
                return true;
            }
        }
        false
    }
}

/// Withdraws the nonce that operators must send back.
struct ClearOnDrop<'a>(&'a watch::Sender<Option<String>>);

impl Drop for ClearOnDrop<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Announces this host over a new connection, because another host has requested that.
pub(super) async fn announce(config: &ListenerConfig, presence: Presence) {
    sleep(JITTER.mul_f64(fastrand::f64())).await;
    let announced = async {
        let nats = Client::connect(&config.settings).await.map_err(|error| error.to_string())?;
        let sent = ListenerReporter::announce(&nats, &presence).await;
        sent.map_err(|error| error.to_string())?;
        nats.ping(PING_TIMEOUT).await.map_err(|error| error.to_string())
    };
    if let Err(error) = announced.await {
        tracing::warn!(error, "failed to announce this host over a new connection");
    }
}
