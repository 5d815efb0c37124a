//! Requests about single services: they go only to hosts that list these, because a listener that does not know the
//! fields would deploy everything.

use super::Intent;
use crate::fleet::Host;
use crate::protocol::Name;
use crate::text::printable;

/// Why a request about services is not sent to a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingServices {
    /// Its listener deploys complete systems, or is too old to know services.
    #[error("it has no services that can be deployed alone")]
    Unknown,
    /// It does not list one of the services.
    #[error("it has no service {missing}; {}", describe(known))]
    Service {
        /// The service that it does not list.
        missing: Name,
        /// The services that it lists.
        known: Vec<String>,
    },
}

fn describe(known: &[String]) -> String {
    if known.is_empty() { "it lists none".to_owned() } else { format!("it has {}", known.join(", ")) }
}

/// Why a host must not receive the services of an intent; `None` if it may.
pub(super) fn missing_services(host: &Host, intent: &Intent) -> Option<MissingServices> {
    if !intent.needs_services() {
        return None;
    }
    let answer = host.answer.as_deref().filter(|answer| answer.knows_services());
    let Some(answer) = answer else { return Some(MissingServices::Unknown) };
    let is_missing = |name: &&Name| !answer.components.iter().any(|known| known == name.as_str());
    let missing = intent.services.iter().find(is_missing)?.clone();
    let known = answer.components.iter().map(|name| printable(name)).collect();
    Some(MissingServices::Service { missing, known })
}
