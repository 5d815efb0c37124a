//! What hosts make of a key that is being replaced.

use super::{cells, table};
use crate::deployer::{KeyStatus, KeyUse};

/// The table of hosts, each with the keys that it trusts or uses.
pub(in crate::cli) fn keys(status: &KeyStatus) -> String {
    let row = |(host, key): &(_, KeyUse)| cells([format!("{host}"), words(*key, status.of_host).to_owned()]);
    table(&["HOST", "KEYS"], status.hosts.iter().map(row).collect(), false)
}

fn words(key: KeyUse, of_host: bool) -> &'static str {
    match (key, of_host) {
        (KeyUse::Both, _) => "trusts both",
        (KeyUse::New, false) => "trusts the new one alone",
        (KeyUse::Old, false) => "trusts the old one alone",
        (KeyUse::Neither, false) => "trusts neither",
        (KeyUse::New, true) => "uses the new one",
        (KeyUse::Old, true) => "uses the old one",
        (KeyUse::Neither | KeyUse::Server, true) => "uses another one",
        (KeyUse::Server, false) => "leaves that to the NATS server",
        (KeyUse::Unsupported, _) => "does not say: its listener is too old",
        (KeyUse::Unproven, _) => "not known: its reply is not signed by a key of the fleet file",
        (KeyUse::NoAnswer, _) => "no answer",
    }
}
