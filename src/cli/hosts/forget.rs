//! `hosts --forget`: expect a host no longer.

use super::super::effective::Effective;
use super::super::exit::Failed;
use crate::protocol::Name;

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
