//! The access tokens in the configuration of nix, for git. nix gives them to the interface of a forge alone, though it is git that
//! says which commit a branch of the same repository is at.

use super::FlakeUrl;
use super::call::FEATURES;
use super::process::{self, Ended};
use super::remote::is_denied;
use serde_json::Value;
use std::collections::BTreeMap;

/// The most that is read of the configuration, in bytes.
const MAX_SETTINGS: u64 = 4 << 20;
/// How to ask for it: since nix 2.19, and before.
const SETTINGS: [&[&str]; 2] = [&["config", "show", "--json"], &["show-config", "--json"]];
const KEY: &str = "access-tokens";

/// The flake with the token that nix has for it, if that may be what a git that has ended lacks. git is asked without it first:
/// it may have credentials of its own, and for a public repository nix need not be asked.
pub(super) async fn lacking(flake: &FlakeUrl, ended: &Ended) -> Option<FlakeUrl> {
    flake.forge()?;
    if ended.status.success() || !(is_denied(&ended.stderr) || ended.stderr.contains("not found")) {
        return None;
    }
    let tokens = tokens().await;
    let token = flake.token_names().into_iter().find_map(|name| tokens.get(&name).cloned())?;
    flake.with_token(&token)
}

/// By host, or by host and path. Without nix there are none.
async fn tokens() -> BTreeMap<String, String> {
    for arguments in SETTINGS {
        let mut nix = process::command("nix");
        nix.args(FEATURES).args(arguments);
        let ended = process::run(nix, MAX_SETTINGS).await.ok().filter(|ended| ended.status.success());
        let settings = ended.and_then(|ended| serde_json::from_str::<Value>(&ended.stdout).ok());
        if let Some(settings) = settings {
            let tokens = settings[KEY]["value"].as_object().cloned().unwrap_or_default();
            let text = |(name, token): (String, Value)| Some((name, token.as_str()?.to_owned()));
            return tokens.into_iter().filter_map(text).collect();
        }
    }
    BTreeMap::new()
}
