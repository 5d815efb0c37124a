//! `hosts --forget`: expect a host no longer.

use super::super::effective::Effective;
use super::super::exit::Failed;
use crate::protocol::Name;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// Forgets a host; gives what to say of it.
pub(super) fn forget(host: &Name, effective: &Effective) -> Result<String, Failed> {
    let mut roster = effective.roster()?;
    let listed = effective.chosen.hosts.get(host).and_then(|listed| listed.source.place());
    let seen = roster.hosts.get(host).is_some_and(|entry| entry.seen.is_some());
    match listed {
        Some(place) if !seen => {
            return Err(Failed::usage(anyhow::anyhow!(
                "{host} was never seen, it is expected because {place} lists it; remove it there"
            )));
        }
        None if !seen => {
            return Err(Failed::usage(anyhow::anyhow!("{host} is not in the roster; nothing was forgotten")));
        }
        _ => {}
    }
    roster.forget(host);
    roster.save()?;
    Ok(match listed {
        Some(place) => format!("{host} is forgotten, but still expected: {place} lists it"),
        None => format!("{host} is forgotten until it answers again"),
    })
}

/// Reads a time such as `1d` or `12h`; a day has 24 hours.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let span = text.parse::<Span>().ok();
    span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| {
            format!("invalid time {text:?}: expected a number with a unit, such as 1d, 12h or 30m")
        })
}

/// Forgets the hosts that were silent for so long; gives what to say of them.
pub(super) fn forget_silent(span: SignedDuration, effective: &Effective) -> Result<String, Failed> {
    let mut roster = effective.roster()?;
    let silent = match Timestamp::now().checked_sub(span) {
        Ok(moment) => roster.forget_silent(moment),
        // Before the first moment there is: no host was seen then.
        Err(_) => Vec::new(),
    };
    roster.save()?;
    Ok(match &silent[..] {
        [] => "no host was silent for that long; nothing was forgotten".to_owned(),
        [host] => format!("1 host is forgotten until it answers again: {host}"),
        hosts => {
            let names: Vec<_> = hosts.iter().take(20).map(Name::as_str).collect();
            let more = hosts.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} hosts are forgotten until they answer again: {}{more}", hosts.len(), names.join(", "))
        }
    })
}
