//! How to split hosts into batches: size, canaries, sort order, allowed failures.

use crate::fleet::natural_cmp;
use crate::protocol::Name;
use crate::text::{closest_matches, did_you_mean};
use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

/// In seconds: one day.
const MAX_PAUSE_SECONDS: u64 = 86400;

/// How hosts are deployed in batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutStrategy {
    /// Size of a batch; `None` for all remaining hosts.
    pub batch_size: Option<BatchSize>,
    /// First batch, which must complete before any other batch starts.
    pub canary: Option<Canary>,
    /// Number of hosts that may fail before the rollout stops.
    pub max_failures: usize,
    /// Pause between two batches.
    pub pause: Duration,
    /// Sort keys of the hosts; hosts that compare equal are sorted by name.
    pub order: Vec<OrderKey>,
}

/// Size of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// Number of hosts, at least 1.
    Hosts(usize),
    /// Percentage of all hosts, 1 to 100, rounded up.
    Percent(u8),
}

/// The first batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// This host.
    Host(Name),
    /// The first hosts that reply; at least 1.
    First(usize),
}

/// A sort key for hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKey {
    /// By tier.
    Tier,
    /// By role; hosts without a role come first.
    Role,
    /// By name, in natural order (`web2` before `web10`).
    Host,
}

/// A host to assign to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Hostname.
    pub host: Name,
    /// Tier of the host.
    pub tier: Name,
    /// Role of the host, if it has one.
    pub role: Option<Name>,
    /// Whether the host replies; silent hosts come after responding ones.
    pub is_responding: bool,
    /// Whether the host runs the NATS server: it comes last, in its own batch.
    pub runs_nats: bool,
}

/// The kind of batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BatchKind {
    /// Tries the deployment first.
    Canary,
    /// A normal batch.
    Batch,
    /// A host that runs the NATS server.
    NatsServer,
}

/// Why batch settings are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// The batch size is invalid.
    #[error("invalid batch size {0:?}: expected a number of hosts (1 or more) or a percentage such as 25%")]
    BatchSize(String),
    /// The canary is invalid.
    #[error("invalid canary {0:?}: expected a host or a number of hosts (1 or more)")]
    Canary(String),
    /// The sort order is invalid.
    #[error("invalid order {0:?}: expected tier, role or host, separated by commas, each at most once")]
    Order(String),
    /// The number of allowed failures is invalid.
    #[error("invalid number of failures {0:?}: expected 0 or more")]
    MaxFailures(String),
    /// The pause is invalid.
    #[error("invalid pause {0:?}: expected seconds, at most {MAX_PAUSE_SECONDS}")]
    Pause(String),
    /// The setting is unknown.
    #[error("unknown batch setting {0:?}: expected batch=, canary=, max-failures=, pause= or order=")]
    UnknownKey(String),
    /// Neither a batch size nor a canary is set.
    #[error("missing batch size: set batch= or canary=")]
    NoBatches,
    /// The canary is not a selected host.
    #[error("the canary {host} is not among the selected hosts{}; nothing was sent", did_you_mean(.near))]
    CanaryNotSelected {
        /// The named canary.
        host: Name,
        /// Selected hosts with similar names.
        near: Vec<String>,
    },
    /// The canary does not reply.
    #[error("the canary {0} does not reply: choose another one; nothing was sent")]
    CanaryUnresponsive(Name),
}

impl Default for RolloutStrategy {
    fn default() -> Self {
        Self {
            batch_size: None,
            canary: None,
            max_failures: 0,
            pause: Duration::ZERO,
            order: vec![OrderKey::Role, OrderKey::Host],
        }
    }
}

impl FromStr for BatchSize {
    type Err = RolloutError;

    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let size = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| (1..=100).contains(p)).map(Self::Percent),
            None => text.parse().ok().filter(|hosts| *hosts > 0).map(Self::Hosts),
        };
        size.ok_or_else(|| RolloutError::BatchSize(text.to_owned()))
    }
}

impl FromStr for Canary {
    type Err = RolloutError;

    /// A string of digits is a number of hosts, even if a host has that name.
    fn from_str(text: &str) -> Result<Self, RolloutError> {
        let error = || RolloutError::Canary(text.to_owned());
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().filter(|hosts| *hosts > 0).map(Self::First).ok_or_else(error);
        }
        Name::new(text).map(Self::Host).map_err(|_| error())
    }
}

impl OrderKey {
    /// Parses keys separated by commas.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RolloutError> {
        let mut keys = Vec::new();
        for setting in text.split(',') {
            let key = match setting.trim() {
                "tier" => Self::Tier,
                "role" => Self::Role,
                "host" => Self::Host,
                _ => return Err(RolloutError::Order(text.to_owned())),
            };
            if keys.contains(&key) {
                return Err(RolloutError::Order(text.to_owned()));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn compare(self, a: &Candidate, b: &Candidate) -> Ordering {
        match self {
            Self::Tier => natural_cmp(&a.tier, &b.tier),
            Self::Role => match (&a.role, &b.role) {
                (Some(a), Some(b)) => natural_cmp(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
            Self::Host => natural_cmp(&a.host, &b.host),
        }
    }
}

impl RolloutStrategy {
    /// Parses settings such as `batch=25% canary=web1 max-failures=1 pause=30 order=role,host`.
    pub fn parse<'a>(settings: impl IntoIterator<Item = &'a str>) -> Result<Self, RolloutError> {
        let mut strategy = Self::default();
        for setting in settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(RolloutError::UnknownKey(setting.to_owned()));
            };
            match key {
                "batch" => strategy.batch_size = Some(value.parse()?),
                "canary" => strategy.canary = Some(value.parse()?),
                "max-failures" => {
                    strategy.max_failures =
                        value.parse().map_err(|_| RolloutError::MaxFailures(value.to_owned()))?;
                }
                "pause" => strategy.pause = parse_pause(value)?,
                "order" => strategy.order = OrderKey::parse_list(value)?,
                _ => return Err(RolloutError::UnknownKey(setting.to_owned())),
            }
        }
        if strategy.batch_size.is_none() && strategy.canary.is_none() {
            return Err(RolloutError::NoBatches);
        }
        Ok(strategy)
    }

    /// Splits hosts into batches: the canary, then batches of responding and then of silent hosts, and last each host
    /// that runs the NATS server, alone.
    pub fn split(&self, mut candidates: Vec<Candidate>) -> Result<Vec<(BatchKind, Vec<Name>)>, RolloutError> {
        candidates.sort_unstable_by(|a, b| {
            let alike = Ordering::Equal;
            let keys = self.order.iter().fold(alike, |order, key| order.then_with(|| key.compare(a, b)));
            keys.then_with(|| natural_cmp(&a.host, &b.host))
        });
        let size = self.size(candidates.len());
        let mut batches = Vec::new();
        match &self.canary {
            None => {}
            Some(Canary::Host(host)) => {
                let Some(at) = candidates.iter().position(|candidate| candidate.host == *host) else {
                    let near = closest_matches(
                        host.as_str(),
                        candidates.iter().map(|candidate| candidate.host.as_str()),
                    );
                    let near = near.into_iter().map(str::to_owned).collect();
                    return Err(RolloutError::CanaryNotSelected { host: host.clone(), near });
                };
                if !candidates[at].is_responding {
                    return Err(RolloutError::CanaryUnresponsive(host.clone()));
                }
                batches.push((BatchKind::Canary, vec![candidates.remove(at).host]));
            }
            Some(Canary::First(count)) => {
                let mut left = *count;
                let first = candidates.extract_if(.., |candidate| {
                    let is_canary = left > 0 && candidate.is_responding && !candidate.runs_nats;
                    left -= usize::from(is_canary);
                    is_canary
                });
                let first: Vec<_> = first.map(|candidate| candidate.host).collect();
                if !first.is_empty() {
                    batches.push((BatchKind::Canary, first));
                }
            }
        }
        // The sort is stable, so the order within each part stays.
        candidates.sort_by_key(|candidate| (candidate.runs_nats, !candidate.is_responding));
        let nats_hosts =
            candidates.iter().position(|candidate| candidate.runs_nats).unwrap_or(candidates.len());
        let nats_hosts: Vec<_> =
            candidates.split_off(nats_hosts).into_iter().map(|candidate| candidate.host).collect();
        let chunks = candidates
            .chunks(size)
            .map(|batch| batch.iter().map(|candidate| candidate.host.clone()).collect());
        batches.extend(chunks.map(|hosts| (BatchKind::Batch, hosts)));
        batches.extend(nats_hosts.into_iter().map(|host| (BatchKind::NatsServer, vec![host])));
        Ok(batches)
    }

    /// The batch size for this number of hosts.
    fn size(&self, hosts: usize) -> usize {
        match self.batch_size {
            None => hosts.max(1),
            Some(BatchSize::Hosts(size)) => size,
            Some(BatchSize::Percent(percent)) => (hosts * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

/// Parses the pause between two batches, in seconds.
pub fn parse_pause(text: &str) -> Result<Duration, RolloutError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_PAUSE_SECONDS);
    seconds.map(Duration::from_secs).ok_or_else(|| RolloutError::Pause(text.to_owned()))
}
