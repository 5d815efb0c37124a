//! The `nixConfig` of a flake, which could set a hook or a cache, is ignored unless the operator allows it.

use crate::own_store::CONFIGURATION;
use crate::store::{Built, Store};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Builds a flake whose `nixConfig` sets a hook, with a nix that is configured to trust all flakes. Returns whether the hook ran.
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
    let nix = store.nix().env("NIX_CONFIG", trusting).accept_flake_config(accepts);
    let built = Built::of(&nix, store.spec(None, "web").await).await;
    built.result.unwrap();
    trace.exists()
}

#[tokio::test]
async fn flake_config_is_ignored_even_if_nix_is_set_to_accept_it() {
    assert!(!hook_runs(false).await);
}

#[tokio::test]
async fn flake_config_is_applied_if_the_operator_accepts_it() {
    assert!(hook_runs(true).await);
}
