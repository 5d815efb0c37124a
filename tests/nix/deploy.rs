//! A complete deployment: operator, NATS server, listener, git and nix, with a real flake from a real remote.

use crate::build::repository_with_flake;
use crate::common::{HostBuilder, NatsServer, TestDir, operator};
use crate::own_store::own_store;
use crate::server::Server;
use serde_json::Value;

/// An example of a custom rebuild program: it builds and prints progress markers.
const REBUILD: &str = r#"
echo '@homelab-deploy {"phase":"build"}'
flake=${3%%#*} host=${3##*#}
result=$(nix --extra-experimental-features 'nix-command flakes' build --no-link --json --log-format internal-json \
    --option substituters '' --option sandbox false --option build-users-group '' \
    "$flake#nixosConfigurations.$host.config.system.build.toplevel") || exit 1
system=$(echo "$result" | sed 's/.*"out":"\([^"]*\)".*/\1/')
echo "@homelab-deploy {\"phase\":\"activate\",\"system\":\"$system\"}"
"#;

/// Deploys and returns the last report.
fn deploy(nats: &NatsServer, revision: &str) -> Value {
    let output = operator(nats, "tester")
        .args(["deploy", "web1", "--branch", revision, "--output", "json"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    last["value"]["hosts"][0]["report"].clone()
}

/// The contents of the reported system.
fn content(report: &Value) -> String {
    std::fs::read_to_string(report["system"].as_str().unwrap()).unwrap().trim().to_owned()
}

#[test]
fn branch_push_and_full_commit_each_deploy_the_right_commit() {
    let repository = repository_with_flake("web1");
    repository.commit("main-1");
    repository.git(&["switch", "--quiet", "--create", "feature"]);
    let first = repository.commit("feature-1");
    repository.push();
    let server = Server::open(repository.remotes());
    let nats = NatsServer::start();
    let home = TestDir::new();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").flake(&server.flake()).script(REBUILD);
    for (name, value) in own_store(home.path()) {
        host = host.env(name, value.to_str().unwrap());
    }
    let _host = host.start();

    let report = deploy(&nats, "feature");
    assert_eq!((content(&report).as_str(), report["commit"].as_str()), ("feature-1", Some(first.as_str())));

    let second = repository.commit("feature-2");
    repository.push();
    let report = deploy(&nats, "feature");
    assert_eq!((content(&report).as_str(), report["commit"].as_str()), ("feature-2", Some(second.as_str())));

    let main = repository.git(&["rev-parse", "main"]);
    let report = deploy(&nats, &main);
    assert_eq!((content(&report).as_str(), report["commit"].as_str()), ("main-1", Some(main.as_str())));
    assert_eq!(report["revision"], main);
}
