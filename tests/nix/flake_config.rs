//! The `nixConfig` of a flake, which could name a hook or a cache, sets nothing unless the operator permits it.

use crate::own_store::CONFIGURATION;
use crate::store::{Built, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A host in a flake whose `nixConfig` names a hook, and a nix whose own settings trust each flake.
async fn hook_runs(accepts: bool) -> bool {
    let store = Store::new();
    let (hook, trace) = (store.path("hook"), store.path("trace"));
    fs::write(&hook, format!("#!/bin/sh\necho > {}\n", trace.display())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    store.hosts(r#"web = sh "web" "echo > $out";"#);
    let flake = fs::read_to_string(store.path("flake/flake.nix")).unwrap();
    let config = format!("{{ nixConfig.post-build-hook = \"{}\";", hook.display());
    store.write("flake.nix", &flake.replacen('{', &config, 1));
    let trusting = format!("{CONFIGURATION}accept-flake-config = true\n");
    let nix = store.nix().env("NIX_CONFIG", trusting).accepting_flake_config(accepts);
    let built = Built::of(&nix, store.order(None, "web").await).await;
    built.outcome.unwrap();
    trace.exists()
}

#[tokio::test]
async fn the_config_of_a_flake_is_ignored_also_where_nix_is_set_to_accept_it() {
    assert!(!hook_runs(false).await);
}

#[tokio::test]
async fn the_config_of_a_flake_is_in_force_where_the_operator_accepts_it() {
    assert!(hook_runs(true).await);
}
