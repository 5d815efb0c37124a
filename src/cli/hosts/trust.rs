//! `hosts --trust`: take a host at its word after a change.

use super::super::exit::Failed;
use crate::deployer::{KnownHost, Operator};
use crate::protocol::{Name, PublicKey};

/// Trusts what a host says of itself now; gives what to say of it.
pub(super) async fn trust(host: &Name, operator: &mut Operator) -> Result<String, Failed> {
    let (before, now) = operator.trust(host).await?;
    let mut changes = Vec::new();
    let before = before.unwrap_or_default();
    compare(&mut changes, "key", keys(&before), keys(&now));
    compare(
        &mut changes,
        "tier",
        before.tier.as_ref().map(Name::to_string),
        now.tier.as_ref().map(Name::to_string),
    );
    compare(&mut changes, "subjects", subjects(&before), subjects(&now));
    let what = if changes.is_empty() { "nothing has changed".to_owned() } else { changes.join(", ") };
    Ok(format!("{host} is trusted: {what}"))
}

fn compare(changes: &mut Vec<String>, what: &str, before: Option<String>, now: Option<String>) {
    if before != now {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        changes.push(match before {
            None => format!("{what} {}", shown(now)),
            Some(before) => format!("{what} {} (before: {before})", shown(now)),
        });
    }
}

fn keys(known: &KnownHost) -> Option<String> {
    known.keys.first().map(PublicKey::as_str).map(str::to_owned)
}

fn subjects(known: &KnownHost) -> Option<String> {
    (!known.deploy_subjects.is_empty()).then(|| known.deploy_subjects.join(" "))
}
