//! An older commit: what `deploy --allow-older` sends, and what a host says without it.

use crate::common::{Broker, HostBuilder, Repo, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::{Value, json};

#[test]
fn the_request_allows_an_older_commit_if_that_was_asked_for() {
    let broker = Broker::start();
    let crowd = Crowd::start(&broker, vec![Member::new("web1", "web", How::Completes)]);
    for (flags, expected) in [(&["--allow-older"][..], json!(true)), (&[], Value::Null)] {
        let mut command = operator(&broker, "tester");
        command
            .args(["deploy", "web1"])
            .args(flags)
            .env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything"));
        run(&mut command, 0);
        assert_eq!(crowd.request().1["allow_older"], expected);
    }
}

#[test]
fn a_host_says_how_to_deploy_an_older_commit() {
    let broker = Broker::start();
    let repo = Repo::new();
    let old = repo.commit("flake.nix", "old");
    let new = repo.commit("flake.nix", "new");
    let _host = HostBuilder::new(&broker, "web1", "test", "web").flake(&repo.url()).start();
    let deploy = |flags: &[&str], code: i32| {
        let mut command = operator(&broker, "tester");
        run(command.args(["deploy", "web1"]).args(flags), code).out
    };
    deploy(&[], 0);
    let said = deploy(&["--branch", &old], 1);
    let expected =
        format!("commit {old} is older than {new}, which this host deployed last from the branch \"master\"");
    assert!(said.contains(&expected), "{said}");
    deploy(&["--branch", &old, "--allow-older"], 0);
}
