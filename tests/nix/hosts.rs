//! The hosts of a flake, none of which is evaluated.

use crate::resolve::ask;
use crate::store::Store;
use homelab_deploy::nix::{BuildError, Hosts};
use homelab_deploy::protocol::ErrorCode;
use tokio_util::sync::CancellationToken;

async fn hosts(store: &Store) -> Result<Hosts, BuildError> {
    let path = store.path("flake");
    let path = path.to_str().unwrap();
    let locked = ask(path, "main", None).await.unwrap();
    store.nix().hosts(&path.parse().unwrap(), &locked, &CancellationToken::new()).await
}

#[tokio::test]
async fn they_are_listed_by_name_and_what_is_no_name_is_told() {
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
async fn a_flake_without_any_has_none_and_a_broken_one_is_an_error() {
    let store = Store::new();
    store.write("flake.nix", "{ outputs = { self }: { }; }");
    assert_eq!(hosts(&store).await.unwrap(), Hosts::default());
    store.write("flake.nix", "{ outputs = { self }: { nixosConfigurations = abort \"broken here\"; }; }");
    let error = hosts(&store).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::EvaluationFailed);
    let said = error.to_string();
    assert!(said.contains("broken here"), "{said}");
}
