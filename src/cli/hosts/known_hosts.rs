//! `hosts --trust` and `hosts --forget`: accept a host's changed key, tier or subjects, or remove hosts from the inventory.

use crate::cli::exit::CommandError;
use crate::cli::resolved_config::ResolvedConfig;
use crate::client::{KnownHost, Operator};
use crate::protocol::{Name, PublicKey};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Trusts what a host currently announces. Returns a message for the operator.
pub(super) async fn trust(host: &Name, operator: &mut Operator) -> Result<String, CommandError> {
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
    let what = if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") };
    Ok(format!("trusted {host}: {what}"))
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

/// Removes a host from the inventory. Returns a message for the operator.
pub(super) fn forget(host: &Name, resolved: &ResolvedConfig) -> Result<String, CommandError> {
    let mut inventory = resolved.inventory()?;
    let listed = resolved.selected.hosts.get(host).and_then(|listed| listed.source.location());
    let seen = inventory.hosts.get(host).is_some_and(|entry| entry.last_seen.is_some());
    match listed {
        Some(place) if !seen => {
            return Err(CommandError::usage(anyhow::anyhow!(
                "{host} was never seen; it is expected because {place} lists it: remove it there"
            )));
        }
        None if !seen => {
            return Err(CommandError::usage(anyhow::anyhow!(
                "{host} is not in the inventory; nothing was forgotten"
            )));
        }
        _ => {}
    }
    inventory.forget(host);
    inventory.save()?;
    Ok(match listed {
        Some(place) => format!("forgot {host}, but it is still expected because {place} lists it"),
        None => format!("forgot {host} until it answers again"),
    })
}

/// Parses a time span such as `1d` or `12h`. A day has 24 hours.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let span = text.parse::<Span>().ok();
    span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| {
            format!("invalid time {text:?}: expected a number with a unit, such as 1d, 12h or 30m")
        })
}

/// Removes hosts that were not seen for this long. Returns a message for the operator.
pub(super) fn forget_silent(span: SignedDuration, resolved: &ResolvedConfig) -> Result<String, CommandError> {
    let mut inventory = resolved.inventory()?;
    let silent = match Timestamp::now().checked_sub(span) {
        Ok(moment) => inventory.forget_unseen_since(moment),
        // The span reaches back further than timestamps do, so no host qualifies.
        Err(_) => Vec::new(),
    };
    inventory.save()?;
    Ok(match &silent[..] {
        [] => "no host was silent for that long; nothing was forgotten".to_owned(),
        [host] => format!("forgot 1 host until it answers again: {host}"),
        hosts => {
            let names: Vec<_> = hosts.iter().take(20).map(Name::as_str).collect();
            let more = hosts.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("forgot {} hosts until they answer again: {}{more}", hosts.len(), names.join(", "))
        }
    })
}
