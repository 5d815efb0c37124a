//! Lists the hosts of a flake without evaluating them.

use crate::resolve::pin;
use crate::store::Store;
use homelab_deploy::nix::{BuildError, FlakeHosts};
use homelab_deploy::protocol::ErrorCode;
use tokio_util::sync::CancellationToken;

async fn hosts(store: &Store) -> Result<FlakeHosts, BuildError> {
    let path = store.path("flake");
    let path = path.to_str().unwrap();
    let locked = pin(path, "main", None).await.unwrap();
    store.nix().hosts(&path.parse().unwrap(), &locked, &CancellationToken::new()).await
}

#[tokio::test]
async fn hosts_are_listed_by_name_and_invalid_names_are_reported() {
    let store = Store::new();
    let all = "web = abort \"evaluated\"; db = 1; all = 1; \"a b\" = 1; \"ns1.example.org\" = 1; \"db.example.org\" = 1; \
               \"mx.a.org\" = 1; \"mx.b.org\" = 1;";
    store.hosts(all);
    let found = hosts(&store).await.unwrap();
    let names: Vec<_> = found.names.iter().map(|(name, attr)| format!("{name}={attr}")).collect();
    assert_eq!(names, ["db=db", "ns1=ns1.example.org", "web=web"]);
    assert_eq!(found.skipped, ["a b", "all", "db.example.org", "mx.a.org", "mx.b.org"]);
}

#[tokio::test]
async fn a_flake_without_hosts_is_empty_and_a_broken_one_is_an_error() {
    let store = Store::new();
    store.write("flake.nix", "{ outputs = { self }: { }; }");
    assert_eq!(hosts(&store).await.unwrap(), FlakeHosts::default());
    store.write("flake.nix", "{ outputs = { self }: { nixosConfigurations = abort \"broken here\"; }; }");
    let error = hosts(&store).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::EvaluationFailed);
    let message = error.to_string();
    assert!(message.contains("broken here"), "{message}");
}
