//! The keys of the demo: one for each host and operator, and the permissions that go with it.

use super::{DemoError, DemoHost};
use crate::keys::{Credential, Seed, User, render_authorization};
use crate::protocol::Name;
use std::path::{Path, PathBuf};

/// The name of the demo's operator.
pub(super) const OPERATOR: &str = "operator";
/// The name of the other one, who may change the hosts of [`ALICES_TIER`] and ask the builder.
pub(super) const ALICE: &str = "alice";
/// The name of the builder.
pub(super) const BUILDER: &str = "builder";
const ALICES_TIER: &str = "test";

/// Where the key of a host or operator lies.
pub(super) fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.nkey"))
}

/// Makes the keys, and the `authorization` block for the server.
pub(super) fn make(folder: &Path, hosts: &[DemoHost]) -> Result<String, DemoError> {
    let mut users = Vec::new();
    for host in hosts {
        let (name, tier, role) = (host.name.clone(), host.tier.clone(), Some(host.role.clone()));
        let credential =
            Credential::Listener { host: name, tier, role, confirm_peers: false, base_subjects: true };
        users.push(user(folder, host.name.as_str(), credential)?);
    }
    let credential = Credential::Admin { tiers: hosts.iter().map(|host| host.tier.clone()).collect() };
    users.push(user(folder, OPERATOR, credential)?);
    let credential = Credential::Deployer { tiers: [Name::new(ALICES_TIER)?].into(), builds: true };
    users.push(user(folder, ALICE, credential)?);
    users.push(user(folder, BUILDER, Credential::Builder)?);
    Ok(render_authorization(&users))
}

fn user(folder: &Path, name: &str, credential: Credential) -> Result<User, DemoError> {
    let seed = Seed::generate()?;
    seed.write_new(&file(folder, name))?;
    let (entry, public_key) = (name.to_owned(), seed.public_key().to_owned());
    Ok(User { entry, public_key, next_public_key: None, expires_at: None, credential })
}
