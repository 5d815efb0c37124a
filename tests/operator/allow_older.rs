//! `deploy --allow-older`: the request with the flag, and the rejection without it.

use crate::common::{HostBuilder, NatsServer, Repo, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::{Value, json};

#[test]
fn the_request_allows_an_older_commit_with_the_flag() {
    let nats = NatsServer::start();
    let fake_hosts = FakeHosts::start(&nats, vec![FakeHost::new("web1", "web", Behavior::Completes)]);
    for (flags, expected) in [(&["--allow-older"][..], json!(true)), (&[], Value::Null)] {
        let mut command = operator(&nats, "tester");
        command.args(["deploy", "web1"]).args(flags).env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything"));
        run(&mut command, 0);
        assert_eq!(fake_hosts.request().1["allow_older"], expected);
    }
}

#[test]
fn a_rejection_explains_how_to_deploy_an_older_commit() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let new = repo.commit("flake.nix", "new");
    let _host = HostBuilder::new(&nats, "web1", "test", "web").flake(&repo.url()).start();
    let deploy = |flags: &[&str], code: i32| {
        let mut command = operator(&nats, "tester");
        run(command.args(["deploy", "web1"]).args(flags), code).stdout
    };
    deploy(&[], 0);
    let output = deploy(&["--branch", &old], 1);
    let expected =
        format!("commit {old} is older than {new}, which this host deployed last from the branch \"master\"");
    assert!(output.contains(&expected), "{output}");
    deploy(&["--branch", &old, "--allow-older"], 0);
}
