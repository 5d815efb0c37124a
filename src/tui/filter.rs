//! The filter of the fleet screen: plain words and terms such as `tier:prod`.

use super::pattern::TypedPattern;
use crate::fleet::{BranchHeads, Host, Outdated, describe};
use crate::protocol::Status;
use jiff::{SignedDuration, Timestamp};

/// A filter for hosts. The empty filter matches every host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The filter as typed.
    pub text: String,
    terms: Vec<FilterTerm>,
}

/// The terms of a filter and their meaning, for the help.
pub(super) const TERM_HELP: [(&str, &str); 8] = [
    (
        "web",
        "the row contains it: the name, tier, role, state, revision, a failed unit, or the reason of a failure",
    ),
    ("web|dns", "one of several words or terms"),
    ("/^web[12]/", "a regular expression that matches a text of the row"),
    ("tier: role:", "exactly this tier or role"),
    ("state:", "a state or phase, or a prefix of one; also unit, disk, reboot, held, rejected, outdated"),
    ("host: rev:", "part of the name, or of the revision or commit"),
    ("seen>5m", "last seen more than 5 minutes ago; seen<5m for less; units s m h d"),
    ("!web", "negates any word or term"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct FilterTerm {
    negated: bool,
    test: TermTest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TermTest {
    /// Some text of the row contains this lower-case text.
    Text(String),
    /// Some text of the row matches.
    Pattern(TypedPattern),
    /// One of these holds.
    Any(Vec<FilterTerm>),
    Host(String),
    Tier(String),
    Role(String),
    State(String),
    Revision(String),
    /// Last seen longer ago than this, or not as long ago.
    Seen {
        longer: bool,
        than: SignedDuration,
    },
}

impl Filter {
    /// Parses a filter: words that must all match.
    ///
    /// `|` separates alternatives in a word, and a word such as `/web[12]/` is a regular expression.
    /// `tier:` and `role:` match a name, `state:` a prefix of a state, `host:` and `rev:` a part of the field, `seen>`
    /// and `seen<` an age; any other word is plain text. `!` negates a word. An incomplete word such as `tier:` or `!`
    /// matches every host.
    pub fn parse(text: &str) -> Result<Self, String> {
        let incomplete = ["", "host:", "tier:", "role:", "state:", "rev:"];
        let words =
            text.split_whitespace().filter(|word| !incomplete.contains(&word.trim_start_matches('!')));
        let terms = words.map(FilterTerm::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    /// Whether the filter matches every host.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the filter matches a host.
    pub fn matches(&self, host: &Host, heads: Option<&BranchHeads>, now: Timestamp) -> bool {
        self.terms.iter().all(|term| term.test.holds(host, heads, now) != term.negated)
    }
}

impl FilterTerm {
    fn parse(word: &str) -> Result<Self, String> {
        let (negated, word) = match word.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        if let Some(pattern) = word.strip_prefix('/') {
            // While it is being typed, the second slash is missing.
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            let pattern =
                TypedPattern::new(pattern).ok_or_else(|| format!("invalid regular expression {word:?}"))?;
            return Ok(Self { negated, test: TermTest::Pattern(pattern) });
        }
        if word.contains('|') {
            let words = word.split('|').filter(|word| !word.is_empty());
            let terms: Vec<_> = words.map(Self::parse).collect::<Result<_, _>>()?;
            // A word such as `web|` is incomplete.
            let test = if terms.is_empty() { TermTest::Text(String::new()) } else { TermTest::Any(terms) };
            return Ok(Self { negated: negated && !matches!(&test, TermTest::Text(_)), test });
        }
        for (longer, prefix) in [(true, "seen>"), (false, "seen<")] {
            if let Some(age) = word.strip_prefix(prefix) {
                let than = age_of(age).ok_or_else(|| {
                    format!(
                        "invalid age {word:?}: expected for example seen>90s, seen>5m, seen>2h or seen>1d"
                    )
                })?;
                return Ok(Self { negated, test: TermTest::Seen { longer, than } });
            }
        }
        let (name, value) = word.split_once(':').unwrap_or(("", word));
        let value = value.to_lowercase();
        let test = match name {
            "host" => TermTest::Host(value),
            "tier" => TermTest::Tier(value),
            "role" => TermTest::Role(value),
            "state" => TermTest::State(value),
            "rev" => TermTest::Revision(value),
            _ => TermTest::Text(word.to_lowercase()),
        };
        Ok(Self { negated, test })
    }
}

impl TermTest {
    fn holds(&self, host: &Host, heads: Option<&BranchHeads>, now: Timestamp) -> bool {
        let is = |name: Option<&crate::protocol::Name>, value: &str| {
            name.is_some_and(|name| name.as_str().eq_ignore_ascii_case(value))
        };
        match self {
            Self::Text(text) => row_texts(host, heads, now, |field| contains(field, text)),
            Self::Pattern(pattern) => row_texts(host, heads, now, |field| pattern.is_match(field)),
            Self::Any(terms) => terms.iter().any(|term| term.test.holds(host, heads, now) != term.negated),
            Self::Host(text) => contains(host.name.as_str(), text),
            Self::Tier(tier) => is(host.tier.as_ref(), tier),
            Self::Role(role) => is(host.role.as_ref(), role),
            Self::State(state) => states(host, heads, now).any(|word| word.starts_with(state.as_str())),
            Self::Revision(text) => {
                let answer = host.answer.as_deref();
                let known = answer.map(|answer| [answer.revision.as_deref(), answer.commit.as_deref()]);
                known.into_iter().flatten().flatten().any(|known| contains(known, text))
            }
            Self::Seen { longer, than } => {
                host.last_seen.map_or(*longer, |seen| (now.duration_since(seen) > *than) == *longer)
            }
        }
    }
}

/// Whether a test holds for a text that the row of a host shows. Most texts are compared without a copy.
fn row_texts(host: &Host, heads: Option<&BranchHeads>, now: Timestamp, holds: impl Fn(&str) -> bool) -> bool {
    let name = |name: &Option<crate::protocol::Name>| name.as_ref().is_some_and(|name| holds(name.as_str()));
    holds(host.name.as_str())
        || name(&host.tier)
        || name(&host.role)
        || states(host, heads, now).any(&holds)
        || host.failed_units().iter().any(|unit| holds(unit))
        || host.answer.as_ref().and_then(|answer| answer.held.as_deref()).is_some_and(&holds)
        || host.job.as_ref().is_some_and(|job| {
            let progress = job.progress.as_ref().is_some_and(|progress| holds(&progress.activity));
            progress || (job.status == Status::Failed && holds(&job.message))
        })
        || holds(&describe::running_revision(host))
}

/// All words that `state:` accepts for this host.
fn states<'a>(host: &'a Host, heads: Option<&BranchHeads>, now: Timestamp) -> impl Iterator<Item = &'a str> {
    let phase = host.running_job().and_then(|job| job.phases.running());
    let states = [
        Some(host.status(now).as_str()),
        phase.map(|phase| phase.name.as_str()),
        host.has_name_conflict(now).then_some("duplicate"),
        Some(host.reachability(now).as_str()),
        (!host.failed_units().is_empty()).then_some("units"),
        host.low_disk().is_some().then_some("disk"),
        host.needs_reboot().then_some("reboot"),
        host.is_held().then_some("held"),
        host.refusal.is_some().then_some("rejected"),
        heads.is_some_and(|heads| matches!(heads.outdated(host), Outdated::Yes { .. })).then_some("outdated"),
    ];
    states.into_iter().flatten()
}

/// Whether `field` contains the lower-case `text`, ignoring case. Not a fuzzy match, because actions apply to the hosts that are shown.
fn contains(field: &str, text: &str) -> bool {
    if field.is_ascii() && !text.is_empty() {
        return field.as_bytes().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    }
    field.to_lowercase().contains(text)
}

/// Parses an age such as `5m` or `2d`. The durations of jiff have no days, because a day can have 23 hours.
fn age_of(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}
