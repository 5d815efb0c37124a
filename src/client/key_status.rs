//! Which hosts use or trust a key that is being replaced, and its successor.

use super::operator::SignedHost;
use super::{DeployError, Operator, Reply};
use crate::keys::{Credential, MCP_TIER, User};
use crate::ordered::CollectOrdered;
use crate::protocol::Name;
use std::collections::BTreeSet;

/// Which of the two keys a host trusts or, if they are the host's own, which one it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Both keys.
    Both,
    /// Only the new key.
    New,
    /// Only the old key.
    Old,
    /// Neither key.
    Neither,
    /// The host trusts no specific keys and leaves permissions to the server.
    Server,
    /// The listener is too old to report its keys.
    Unsupported,
    /// The reply is not proven to come from the host.
    Unproven,
    /// The host did not reply.
    NoAnswer,
}

/// The key use of all hosts for one entry of the fleet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Whether the keys belong to a host, which uses them instead of trusting them.
    pub of_host: bool,
    /// Each host by name; twice if two listeners share the name.
    pub hosts: Vec<(Name, KeyUse)>,
}

impl KeyStatus {
    /// Queries the hosts for their use of the keys of `user`: the concerned hosts of the fleet file, and every other
    /// host that replies.
    pub async fn query(operator: &mut Operator, users: &[User], user: &User) -> Result<Self, DeployError> {
        let discovery = operator.discover(None, None).await?;
        let mut hosts = concerned(users, user);
        if !is_host(user) {
            hosts.extend(discovery.answered.iter().cloned());
        }
        let replies = operator.signed_hosts(&hosts, &discovery).await?;
        let hosts = replies.hosts.into_iter();
        let hosts = hosts.map(|(host, reply)| (host, KeyUse::from_reply(&reply, user))).collect();
        Ok(Self { of_host: is_host(user), hosts })
    }

    /// The hosts that would stop working if the old key were removed now.
    pub fn missing(&self) -> impl Iterator<Item = &(Name, KeyUse)> {
        self.hosts.iter().filter(|(_, key)| !key.is_ready(self.of_host))
    }
}

impl KeyUse {
    /// Whether the old key can be removed as far as this host is concerned.
    fn is_ready(self, of_host: bool) -> bool {
        match self {
            Self::New => true,
            // The host does not trust the old key alone, so it loses nothing.
            Self::Both | Self::Neither | Self::Server => !of_host,
            Self::Old | Self::Unsupported | Self::Unproven | Self::NoAnswer => false,
        }
    }

    fn from_reply(reply: &Reply<SignedHost>, user: &User) -> Self {
        let (answer, signer) = match reply {
            Reply::Ok((answer, signer)) => (answer, signer),
            Reply::Unsupported => return Self::Unsupported,
            Reply::NoAnswer => return Self::NoAnswer,
        };
        let Some(trusted) = answer.trusted_keys.clone() else { return Self::Unsupported };
        let Some(signer) = signer else { return Self::Unproven };
        // A host can announce any key, but it can sign only with its own.
        let keys = if is_host(user) { vec![signer.as_str().to_owned()] } else { trusted };
        let next = user.next_public_key.as_ref().is_some_and(|next| keys.contains(next));
        match (keys.contains(&user.public_key), next) {
            (true, true) => Self::Both,
            (false, true) => Self::New,
            (true, false) => Self::Old,
            (false, false) if keys.is_empty() => Self::Server,
            (false, false) => Self::Neither,
        }
    }
}

fn is_host(user: &User) -> bool {
    matches!(user.credential, Credential::Listener { .. })
}

/// The hosts of the fleet file that `user` is or may deploy to.
fn concerned(users: &[User], user: &User) -> BTreeSet<Name> {
    let is_concerned = |host: &Name, tier: &Name| match &user.credential {
        Credential::Listener { host: own, .. } => own == host,
        Credential::Deployer { tiers, .. } | Credential::Admin { tiers } => tiers.contains(tier),
        Credential::Mcp { .. } => tier.as_str() == MCP_TIER,
        Credential::Viewer | Credential::Builder => false,
    };
    let hosts = users.iter().filter_map(|user| match &user.credential {
        Credential::Listener { host, tier, .. } => is_concerned(host, tier).then(|| host.clone()),
        _ => None,
    });
    hosts.collect_set()
}
