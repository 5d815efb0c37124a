//! The filter: text that a row contains, and terms about one thing.

use crate::fleet::{Heads, Host, Lag, words};
use jiff::{SignedDuration, Timestamp};

/// What rows must match. Empty matches every row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    terms: Vec<Term>,
}

/// What a filter can be made of, for the help.
pub(super) const TERMS: [(&str, &str); 6] = [
    ("web", "name, tier, role, state or revision contains it"),
    ("tier: role:", "exactly that tier or role"),
    ("state:", "a state or phase, or its beginning; unit, reboot, held, rejected"),
    ("host: rev:", "a part of the name, of the revision or commit"),
    ("seen>5m", "not heard of for longer; seen<5m for less; s m h d"),
    ("!web", "whatever does not match; so with every term"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Anything in the row contains this, in lower case.
    Text(String),
    Host(String),
    Tier(String),
    Role(String),
    State(String),
    Revision(String),
    /// Not heard of for longer than this, or only for less.
    Seen {
        longer: bool,
        than: SignedDuration,
    },
}

impl Filter {
    /// Reads a filter: words that must all match. `tier:` and `role:` name a tier or role, `state:` a state or its start,
    /// `host:` and `rev:` a part of them, `seen>` and `seen<` an age; whatever else is text. `!` turns a word around. A word
    /// that is only begun, such as `tier:` or `!`, leaves nothing out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let begun = ["", "host:", "tier:", "role:", "state:", "rev:"];
        let words = text.split_whitespace().filter(|word| !begun.contains(&word.trim_start_matches('!')));
        let terms = words.map(Term::parse).collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a host is shown.
    pub fn matches(&self, host: &Host, heads: Option<&Heads>, now: Timestamp) -> bool {
        self.terms.iter().all(|term| term.test.holds(host, heads, now) != term.negated)
    }
}

impl Term {
    fn parse(word: &str) -> Result<Self, String> {
        let (negated, word) = match word.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        for (longer, prefix) in [(true, "seen>"), (false, "seen<")] {
            if let Some(age) = word.strip_prefix(prefix) {
                let than = age_of(age).ok_or_else(|| {
                    format!("{word:?} is no age: write seen>90s, seen>5m, seen>2h or seen>1d")
                })?;
                return Ok(Self { negated, test: Test::Seen { longer, than } });
            }
        }
        let (name, value) = word.split_once(':').unwrap_or(("", word));
        let value = value.to_lowercase();
        let test = match name {
            "host" => Test::Host(value),
            "tier" => Test::Tier(value),
            "role" => Test::Role(value),
            "state" => Test::State(value),
            "rev" => Test::Revision(value),
            _ => Test::Text(word.to_lowercase()),
        };
        Ok(Self { negated, test })
    }
}

impl Test {
    fn holds(&self, host: &Host, heads: Option<&Heads>, now: Timestamp) -> bool {
        let is = |name: Option<&crate::protocol::Name>, value: &str| {
            name.is_some_and(|name| name.as_str().eq_ignore_ascii_case(value))
        };
        match self {
            Self::Text(text) => {
                let has = |field: &str| contains(field, text);
                let name = |name: &Option<crate::protocol::Name>| {
                    name.as_ref().is_some_and(|name| has(name.as_str()))
                };
                has(host.name.as_str())
                    || name(&host.tier)
                    || name(&host.role)
                    || has(host.standing(now).word())
                    || has(&words::runs(host))
            }
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
                host.seen.map_or(*longer, |seen| (now.duration_since(seen) > *than) == *longer)
            }
        }
    }
}

/// Every word that `state:` takes for this host.
fn states<'a>(host: &'a Host, heads: Option<&Heads>, now: Timestamp) -> impl Iterator<Item = &'a str> {
    let phase = host.running_job().and_then(|job| job.phases.running());
    let states = [
        Some(host.standing(now).word()),
        phase.map(|phase| phase.name.as_str()),
        host.is_duplicate(now).then_some("duplicate"),
        (!host.failed_units().is_empty()).then_some("units"),
        host.needs_reboot().then_some("reboot"),
        host.is_held().then_some("held"),
        host.refusal.is_some().then_some("rejected"),
        heads.is_some_and(|heads| matches!(heads.lag(host), Lag::Behind { .. })).then_some("behind"),
    ];
    states.into_iter().flatten()
}

/// Whether `field` contains `text`, which is in lower case.
fn contains(field: &str, text: &str) -> bool {
    if field.is_ascii() && !text.is_empty() {
        return field.as_bytes().windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    }
    field.to_lowercase().contains(text)
}

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
