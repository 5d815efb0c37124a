//! The credentials of the demo: one for each host and operator, with the matching permissions.

use super::{DemoError, DemoHost};
use crate::keys::{Credential, User, UserSeed, render_authorization};
use crate::nats::Nkey;
use crate::ordered::CollectOrdered;
use crate::protocol::{DISCOVER, Name};
use std::path::{Path, PathBuf};

/// Name of the demo's operator.
pub(super) const OPERATOR: &str = "operator";
/// Name of the other operator, who may deploy to [`ALICE_TIER`] and request builds.
pub(super) const ALICE: &str = "alice";
/// Name of the builder.
pub(super) const BUILDER: &str = "builder";
const ALICE_TIER: &str = "test";
/// Name of the credential of the connection that speaks for all dormant hosts.
pub(super) const ANNOUNCER: &str = "announcer";
/// Name of the credential that forwards messages to listeners that have just started.
pub(super) const WAKER: &str = "waker";

/// Path of the credential of a host or operator.
pub(super) fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.nkey"))
}

/// Creates the credentials and returns the `authorization` block for the server: one for each of `hosts`, whose
/// keys are written to files, and the keys of the dormant hosts with the two connections that serve them.
pub(super) fn make(directory: &Path, hosts: &[DemoHost], dormant: &[Nkey]) -> Result<String, DemoError> {
    let mut users = Vec::new();
    for host in hosts {
        let (name, tier, role) = (host.name.clone(), host.tier.clone(), Some(host.role.clone()));
        let credential =
            Credential::Listener { host: name, tier, role, confirm_peers: false, base_subjects: true };
        users.push(user(directory, host.name.as_str(), credential)?);
    }
    let credential = Credential::Admin { tiers: hosts.iter().map(|host| host.tier.clone()).collect_set() };
    users.push(user(directory, OPERATOR, credential)?);
    let credential = Credential::Deployer { tiers: [Name::new(ALICE_TIER)?].into(), builds: true };
    users.push(user(directory, ALICE, credential)?);
    users.push(user(directory, BUILDER, Credential::Builder)?);
    let block = render_authorization(&users);
    if dormant.is_empty() {
        return Ok(block);
    }
    let waker = new_seed(directory, WAKER)?;
    let all = ["deploy.>"];
    let mut entries = format!(
        "    {{ nkey: {:?}, permissions: {{ publish: {all:?}, subscribe: {all:?} }} }}\n",
        waker.public_key()
    );
    let announcer = new_seed(directory, ANNOUNCER)?;
    for key in dormant.iter().map(Nkey::public_key).chain([announcer.public_key()]) {
        entries.extend(["    { nkey: ", key, " }\n"]);
    }
    let (publish, subscribe) = (["deploy.responses.>"], ["deploy.test.>", "deploy.prod.>", DISCOVER]);
    // One rule for all: 10,000 copies would make the configuration large.
    let rule = format!("  default_permissions: {{ publish: {publish:?}, subscribe: {subscribe:?} }}\n");
    Ok(block.replacen("  users = [\n", &format!("{rule}  users = [\n{entries}"), 1))
}

fn new_seed(directory: &Path, name: &str) -> Result<UserSeed, DemoError> {
    let seed = UserSeed::generate()?;
    seed.write_new(&file(directory, name))?;
    Ok(seed)
}

fn user(directory: &Path, name: &str, credential: Credential) -> Result<User, DemoError> {
    let seed = new_seed(directory, name)?;
    let (entry, public_key) = (name.to_owned(), seed.public_key().to_owned());
    Ok(User { entry, public_key, next_public_key: None, expires_at: None, credential })
}
