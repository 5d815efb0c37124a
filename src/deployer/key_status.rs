//! What hosts make of a key that is being replaced by another.

use super::questions::SignedHost;
use super::{DeployError, Operator, Told};
use crate::keys::{Credential, MCP_TIER, User};
use crate::protocol::Name;
use std::collections::BTreeSet;

/// What one host makes of the two keys: which it trusts, or, if they are its own, which it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// Both.
    Both,
    /// The new one alone.
    New,
    /// The old one alone.
    Old,
    /// Neither.
    Neither,
    /// It trusts no key in particular and leaves that to the server.
    Server,
    /// Its listener is too old to say.
    Unsupported,
    /// What it says is not proven to be from it.
    Unproven,
    /// It did not answer.
    NoAnswer,
}

/// What the hosts make of the keys of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// Whether the keys are those of a host, which uses them instead of trusting them.
    pub of_host: bool,
    /// Each host by name; one twice if two listeners claim the name.
    pub hosts: Vec<(Name, KeyUse)>,
}

impl KeyStatus {
    /// The hosts that would lose something if the old key ended now.
    pub fn missing(&self) -> impl Iterator<Item = &(Name, KeyUse)> {
        self.hosts.iter().filter(|(_, key)| !key.is_ready(self.of_host))
    }
}

impl KeyUse {
    /// Whether the old key can end, as far as this host is concerned.
    fn is_ready(self, of_host: bool) -> bool {
        match self {
            Self::New => true,
            // It did not trust the old key, so that nothing ends with that.
            Self::Both | Self::Neither | Self::Server => !of_host,
            Self::Old | Self::Unsupported | Self::Unproven | Self::NoAnswer => false,
        }
    }

    fn told_by(told: &Told<SignedHost>, user: &User) -> Self {
        let (answer, signer) = match told {
            Told::Answer((answer, signer)) => (answer, signer),
            Told::TooOld => return Self::Unsupported,
            Told::Silent => return Self::NoAnswer,
        };
        let Some(trusted) = answer.trusted_keys.clone() else { return Self::Unsupported };
        let Some(signer) = signer else { return Self::Unproven };
        // A host can name any key, but sign only with its own.
        let held = if is_host(user) { vec![signer.as_str().to_owned()] } else { trusted };
        let next = user.next_public_key.as_ref().is_some_and(|next| held.contains(next));
        match (held.contains(&user.public_key), next) {
            (true, true) => Self::Both,
            (false, true) => Self::New,
            (true, false) => Self::Old,
            (false, false) if held.is_empty() => Self::Server,
            (false, false) => Self::Neither,
        }
    }
}

impl Operator {
    /// Asks what hosts make of the keys of `user`: of the hosts of the fleet file those that `user` has to do with, and every other
    /// one that answers.
    pub async fn key_status(&mut self, users: &[User], user: &User) -> Result<KeyStatus, DeployError> {
        let discovery = self.discover(None, None).await?;
        let mut hosts = concerned(users, user);
        if !is_host(user) {
            hosts.extend(discovery.answered.iter().cloned());
        }
        let replies = self.signed_hosts(&hosts, &discovery).await?;
        let hosts = replies.hosts.into_iter();
        let hosts = hosts.map(|(host, told)| (host, KeyUse::told_by(&told, user))).collect();
        Ok(KeyStatus { of_host: is_host(user), hosts })
    }
}

fn is_host(user: &User) -> bool {
    matches!(user.credential, Credential::Listener { .. })
}

/// The hosts of the fleet file that `user` is or may change.
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
    hosts.collect()
}
