//! Waves as an operator says them: how large, who goes first, in which order, how many failures are borne.

use crate::fleet::natural;
use crate::protocol::{Name, near};
use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

/// In seconds; whoever wants to wait longer deploys the rest on another day.
const LONGEST_PAUSE: u64 = 86400;

/// How hosts are changed one wave after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waves {
    /// How many hosts a wave has; without, all that are left.
    pub batch: Option<Batch>,
    /// Who goes first, and must complete before anybody else begins.
    pub canary: Option<Canary>,
    /// How many hosts may fail before no further wave begins.
    pub max_failures: usize,
    /// How long to wait between two waves.
    pub pause: Duration,
    /// What hosts are sorted by; those that are alike, by name.
    pub order: Vec<OrderKey>,
}

/// The size of a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// So many hosts; at least one.
    Hosts(usize),
    /// So much of all hosts, in per cent; rounded up.
    Percent(u8),
}

/// The first wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// This host.
    Host(Name),
    /// The first so many that answer; at least one.
    First(usize),
}

/// What hosts are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKey {
    /// The tier.
    Tier,
    /// The role; hosts without one come first.
    Role,
    /// The name, numbers in it by their value.
    Host,
}

/// A host that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its name.
    pub host: Name,
    /// Its tier.
    pub tier: Name,
    /// Its role.
    pub role: Option<Name>,
    /// Whether it answers; those that do not come after those that do.
    pub answers: bool,
    /// Whether the broker runs there: it comes last and alone.
    pub broker: bool,
}

/// What a wave is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WaveKind {
    /// Those who try it for all.
    Canary,
    /// Any other.
    Batch,
    /// The host that the broker runs on.
    Broker,
}

/// Why hosts cannot be changed in these waves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavesError {
    /// The size of a wave makes no sense.
    #[error("{0:?} is no size of a wave: write a number of hosts from 1, or per cent as in 25%")]
    Batch(String),
    /// The canary makes no sense.
    #[error("{0:?} is no canary: write a host, or a number of hosts from 1")]
    Canary(String),
    /// Nothing can be sorted by this.
    #[error("{0:?} is no order: write tier, role and host, with commas between them, each once")]
    Order(String),
    /// The number of failures makes no sense.
    #[error("{0:?} is no number of failures: write one from 0")]
    MaxFailures(String),
    /// The pause makes no sense.
    #[error("{0:?} is no pause: write seconds, at most {LONGEST_PAUSE}")]
    Pause(String),
    /// A word that says nothing about waves.
    #[error("{0:?} says nothing about waves: write batch=, canary=, max-failures=, pause= or order=")]
    Word(String),
    /// Only what says how to cut makes waves.
    #[error("these are no waves without batch= or canary=")]
    NoWaves,
    /// The canary is not among the hosts.
    #[error("the canary {host} is not among the hosts{}; nothing was sent", did_you_mean(.near))]
    NotAmong {
        /// What was named.
        host: Name,
        /// Selected hosts that look like it.
        near: Vec<String>,
    },
    /// The canary tries nothing.
    #[error("the canary {0} does not answer, so it can try nothing; choose another, nothing was sent")]
    CanarySilent(Name),
}

fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (did you mean {}?)", names.join(", ")) }
}

impl Default for Waves {
    fn default() -> Self {
        Self {
            batch: None,
            canary: None,
            max_failures: 0,
            pause: Duration::ZERO,
            order: vec![OrderKey::Role, OrderKey::Host],
        }
    }
}

impl FromStr for Batch {
    type Err = WavesError;

    fn from_str(text: &str) -> Result<Self, WavesError> {
        let size = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| (1..=100).contains(p)).map(Self::Percent),
            None => text.parse().ok().filter(|hosts| *hosts > 0).map(Self::Hosts),
        };
        size.ok_or_else(|| WavesError::Batch(text.to_owned()))
    }
}

impl FromStr for Canary {
    type Err = WavesError;

    /// Digits alone are a number of hosts, also where a host is called so.
    fn from_str(text: &str) -> Result<Self, WavesError> {
        let error = || WavesError::Canary(text.to_owned());
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().filter(|hosts| *hosts > 0).map(Self::First).ok_or_else(error);
        }
        Name::new(text).map(Self::Host).map_err(|_| error())
    }
}

impl OrderKey {
    /// Reads keys with commas between them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, WavesError> {
        let mut keys = Vec::new();
        for word in text.split(',') {
            let key = match word.trim() {
                "tier" => Self::Tier,
                "role" => Self::Role,
                "host" => Self::Host,
                _ => return Err(WavesError::Order(text.to_owned())),
            };
            if keys.contains(&key) {
                return Err(WavesError::Order(text.to_owned()));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn compare(self, a: &Seat, b: &Seat) -> Ordering {
        match self {
            Self::Tier => natural(&a.tier, &b.tier),
            Self::Role => match (&a.role, &b.role) {
                (Some(a), Some(b)) => natural(a, b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            },
            Self::Host => natural(&a.host, &b.host),
        }
    }
}

impl Waves {
    /// Reads words such as `batch=25% canary=web1 max-failures=1 pause=30 order=role,host`.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, WavesError> {
        let mut waves = Self::default();
        for word in words {
            let Some((key, value)) = word.split_once('=') else {
                return Err(WavesError::Word(word.to_owned()));
            };
            match key {
                "batch" => waves.batch = Some(value.parse()?),
                "canary" => waves.canary = Some(value.parse()?),
                "max-failures" => {
                    waves.max_failures =
                        value.parse().map_err(|_| WavesError::MaxFailures(value.to_owned()))?;
                }
                "pause" => waves.pause = parse_pause(value)?,
                "order" => waves.order = OrderKey::parse_list(value)?,
                _ => return Err(WavesError::Word(word.to_owned())),
            }
        }
        if waves.batch.is_none() && waves.canary.is_none() {
            return Err(WavesError::NoWaves);
        }
        Ok(waves)
    }

    /// Cuts hosts into waves: the canary, then batches of those that answer and then of those that do not, and last and
    /// alone each host that the broker runs on.
    pub fn cut(&self, mut seats: Vec<Seat>) -> Result<Vec<(WaveKind, Vec<Name>)>, WavesError> {
        seats.sort_by(|a, b| {
            let alike = Ordering::Equal;
            let keys = self.order.iter().fold(alike, |order, key| order.then_with(|| key.compare(a, b)));
            keys.then_with(|| natural(&a.host, &b.host))
        });
        let size = self.size(seats.len());
        let mut waves = Vec::new();
        match &self.canary {
            None => {}
            Some(Canary::Host(host)) => {
                let Some(at) = seats.iter().position(|seat| seat.host == *host) else {
                    let near = near(host.as_str(), seats.iter().map(|seat| seat.host.as_str()));
                    let near = near.into_iter().map(str::to_owned).collect();
                    return Err(WavesError::NotAmong { host: host.clone(), near });
                };
                if !seats[at].answers {
                    return Err(WavesError::CanarySilent(host.clone()));
                }
                waves.push((WaveKind::Canary, vec![seats.remove(at).host]));
            }
            Some(Canary::First(count)) => {
                let mut left = *count;
                let first = seats.extract_if(.., |seat| {
                    let goes = left > 0 && seat.answers && !seat.broker;
                    left -= usize::from(goes);
                    goes
                });
                let first: Vec<_> = first.map(|seat| seat.host).collect();
                if !first.is_empty() {
                    waves.push((WaveKind::Canary, first));
                }
            }
        }
        // A stable sort: the order within each part stays.
        seats.sort_by_key(|seat| (seat.broker, !seat.answers));
        let brokers = seats.iter().position(|seat| seat.broker).unwrap_or(seats.len());
        let brokers: Vec<_> = seats.split_off(brokers).into_iter().map(|seat| seat.host).collect();
        let batches = seats.chunks(size).map(|batch| batch.iter().map(|seat| seat.host.clone()).collect());
        waves.extend(batches.map(|hosts| (WaveKind::Batch, hosts)));
        waves.extend(brokers.into_iter().map(|host| (WaveKind::Broker, vec![host])));
        Ok(waves)
    }

    /// How many hosts a wave has, of so many.
    fn size(&self, hosts: usize) -> usize {
        match self.batch {
            None => hosts.max(1),
            Some(Batch::Hosts(size)) => size,
            Some(Batch::Percent(percent)) => (hosts * usize::from(percent)).div_ceil(100).max(1),
        }
    }
}

/// Reads the pause between two waves, in seconds.
pub fn parse_pause(text: &str) -> Result<Duration, WavesError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= LONGEST_PAUSE);
    seconds.map(Duration::from_secs).ok_or_else(|| WavesError::Pause(text.to_owned()))
}
