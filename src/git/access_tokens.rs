//! Reads the access tokens from nix's configuration, so that git can use them too. nix itself sends them only to the forge's HTTP
//! API, but the commit of a branch is looked up with git.

use super::HostedRepository;
use crate::ordered::CollectOrdered;
use crate::unattended::{captured, run};
use serde_json::Value;
use std::collections::BTreeMap;

/// Enables the `nix` command and flakes on hosts whose configuration does not.
pub const EXPERIMENTAL_FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// Maximum size of the configuration, in bytes.
const MAX_SETTINGS: u64 = 4 << 20;
/// Arguments that print the configuration: since nix 2.19, and before.
const SETTINGS: [&[&str]; 2] = [&["config", "show", "--json"], &["show-config", "--json"]];
const KEY: &str = "access-tokens";

impl HostedRepository {
    /// nix's token for the repository.
    pub(super) async fn access_token(&self) -> Option<String> {
        let tokens = access_tokens().await;
        self.token_names().iter().find_map(|name| tokens.get(name).cloned())
    }
}

/// Tokens by host, or by host and path. Empty if nix cannot be run.
async fn access_tokens() -> BTreeMap<String, String> {
    for arguments in SETTINGS {
        let mut nix = captured("nix");
        nix.args(EXPERIMENTAL_FEATURES).args(arguments);
        let output = run(nix, MAX_SETTINGS).await.ok().filter(|output| output.status.success());
        let settings = output.and_then(|output| serde_json::from_str::<Value>(&output.stdout).ok());
        if let Some(settings) = settings {
            let tokens = settings[KEY]["value"].as_object().cloned().unwrap_or_default();
            let text = |(name, token): (String, Value)| Some((name, token.as_str()?.to_owned()));
            return tokens.into_iter().filter_map(text).collect_map();
        }
    }
    BTreeMap::new()
}
