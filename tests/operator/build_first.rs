//! `deploy --build-first`: only hosts whose build succeeded are deployed.

use crate::common::{CommandOutput, FakeBuilder, NatsServer, Repo, build_report as report, operator, run};
use crate::fake_hosts::{Behavior, FakeHost, FakeHosts};
use serde_json::json;

/// Hosts of one flake, and a builder that builds all of them except `bad`.
fn fleet(nats: &NatsServer, repo: &Repo, bad: &'static str) -> (FakeHosts, FakeBuilder) {
    let names = ["web1", "web2", "db1"];
    let members =
        names.map(|name| FakeHost::new(name, "web", Behavior::Completes).with("flake_url", repo.url()));
    let builder = FakeBuilder::start(nats, move |request| {
        let hosts = match request["target"].as_str().unwrap() {
            "all" => names.to_vec(),
            one => vec![names.into_iter().find(|name| *name == one).unwrap()],
        };
        let state = |host: &&'static str| (*host, if *host == bad { "failed" } else { "done" });
        let hosts: Vec<_> = hosts.iter().map(state).collect();
        let status = if hosts.iter().any(|(_, state)| *state == "failed") { "failed" } else { "completed" };
        vec![report(request, 1, status, &hosts)]
    });
    (FakeHosts::start(nats, members.into()), builder)
}

fn deploy(nats: &NatsServer, args: &[&str], code: i32) -> CommandOutput {
    let mut command = operator(nats, "everything");
    run(command.args(["deploy", "--build-first"]).args(args), code)
}

#[test]
fn hosts_whose_build_passed_are_deployed_to_at_that_commit() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (fake_hosts, builder) = fleet(&nats, &repo, "web2");
    let ended = deploy(&nats, &["--all", "--tier", "test", "--batch", "1", "--output", "json"], 1);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), &request["branch"]), ("build.all", &json!(head)));
    let requests = [fake_hosts.request(), fake_hosts.request()];
    assert_eq!(requests.each_ref().map(|(host, _)| host.as_str()), ["db1", "web1"]);
    assert!(requests.iter().all(|(_, request)| request["commit"] == json!(head)), "{requests:?}");
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    let lines = ended.json();
    let builds = lines.iter().find(|line| line["event"] == "builds").unwrap();
    assert_eq!(builds["value"]["builds"][0]["result"], "failed");
    let batches = lines.iter().filter(|line| line["event"] == "batch").count();
    assert_eq!((batches, &lines.last().unwrap()["value"]["hosts"][1]["host"]), (2, &json!("web1")));

    let output = deploy(&nats, &["web1", "web2"], 1);
    for expected in ["web2  failed     1.2 s  build of foo-1.2 failed", "  | cc: fatal", "web1  completed"] {
        assert!(output.stdout.contains(expected), "no {expected:?} in {output}");
    }
    let targets = [builder.request().0, builder.request().0];
    assert_eq!(targets, ["build.web1", "build.web2"]);
}

#[test]
fn the_exit_code_is_that_of_the_deployment_if_all_builds_pass() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (fake_hosts, builder) = fleet(&nats, &repo, "");
    deploy(&nats, &["web1", "--build-repo", "fleet", "--branch", &head], 0);
    assert_eq!(
        (builder.request().0, fake_hosts.requested_hosts()),
        ("build.fleet.web1".to_owned(), vec!["web1".to_owned()])
    );
}

#[test]
fn nothing_is_deployed_if_no_build_passed() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let (fake_hosts, builder) = fleet(&nats, &repo, "web1");
    deploy(&nats, &["web1"], 1).assert_stderr(&["no host was built; nothing was deployed"]);
    drop(builder);
    let unanswered = deploy(&nats, &["web1"], 3);
    unanswered.assert_stderr(&["no host was built; nothing was deployed"]);
    assert!(unanswered.stdout.contains("no builder answered"), "{unanswered}");
    assert_eq!(fake_hosts.requested_hosts(), Vec::<String>::new());
    run(operator(&nats, "everything").args(["deploy", "web1", "--build-repo", "x"]), 2)
        .assert_stderr(&["--build-first"]);
    run(operator(&nats, "everything").args(["deploy", "web1", "--build-first", "--no-pin"]), 2)
        .assert_stderr(&["--no-pin"]);
}
