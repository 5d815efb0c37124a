//! Renders the `authorization` block of a NATS server's configuration.

use super::permissions::{Credential, SubjectRules, permissions};
use super::{MCP_TIER, User};
use crate::protocol::Name;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt::Write;

/// Renders the block for these users at the current time.
pub fn render_authorization(users: &[User]) -> String {
    render_authorization_at(users, Timestamp::now())
}

/// Renders the block for these users, in their order, with every key of an entry. Expired users are left out. A block
/// without users would open the server to everyone, but a fleet file without users is already rejected.
pub fn render_authorization_at(users: &[User], now: Timestamp) -> String {
    let mut out = String::from("authorization {\n  users = [\n");
    for user in users {
        let described = format!("{}: {}", user.entry, description(&user.credential));
        if let Some(expired_at) = user.expired_at(now) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(out, "    # {described}, left out: expired at {expired_at}");
            continue;
        }
        let expiry = user.expires_at.map(|at| format!(", until {at}")).unwrap_or_default();
        let allowed = permissions(&user.credential);
        for key in user.public_keys() {
            let next = if user.next_public_key.as_deref() == Some(key) { ", next key" } else { "" };
            let _ = write!(
                out,
                "    # {described}{expiry}{next}\n    {{\n      nkey: {}\n      permissions: {{\n        publish: {}\n        \
                 subscribe: {}\n      }}\n    }}\n",
                quoted(key),
                rules(&allowed.publish),
                rules(&allowed.subscribe),
            );
        }
    }
    out.push_str("  ]\n}\n");
    out
}

fn rules(rules: &SubjectRules) -> String {
    if rules.deny.is_empty() {
        format!("{{ allow: {} }}", list(&rules.allow))
    } else {
        format!("{{ allow: {}, deny: {} }}", list(&rules.allow), list(&rules.deny))
    }
}

fn list(subjects: &[String]) -> String {
    let subjects: Vec<String> = subjects.iter().map(|subject| quoted(subject)).collect();
    format!("[{}]", subjects.join(", "))
}

/// Quotes a key or subject. These are plain ASCII, for which the escapes of Rust and of the server are the same.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn description(credential: &Credential) -> String {
    let with_builds = |builds: bool| if builds { ", with builds" } else { "" };
    match credential {
        Credential::Listener { tier, role: None, .. } => format!("listener, tier {tier}"),
        Credential::Listener { tier, role: Some(role), .. } => format!("listener, tier {tier}, role {role}"),
        Credential::Deployer { tiers, builds } => {
            format!("deployer of {}{}", joined(tiers), with_builds(*builds))
        }
        Credential::Mcp { builds } => format!("mcp of {MCP_TIER}{}", with_builds(*builds)),
        Credential::Admin { .. } | Credential::Viewer | Credential::Builder => credential.kind().to_string(),
    }
}

fn joined(tiers: &BTreeSet<Name>) -> String {
    tiers.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}
