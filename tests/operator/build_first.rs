//! `deploy --build-first`: what the builder could not build is not deployed.

use crate::common::{Broker, Builder, Ended, Repo, build_report as report, operator, run};
use crate::crowd::{Crowd, How, Member};
use serde_json::json;

/// Hosts of one flake, and a builder that builds all but `bad`.
fn fleet(broker: &Broker, repo: &Repo, bad: &'static str) -> (Crowd, Builder) {
    let names = ["web1", "web2", "db1"];
    let members = names.map(|name| Member::new(name, "web", How::Completes).with("flake_url", repo.url()));
    let builder = Builder::start(broker, move |request| {
        let hosts = match request["target"].as_str().unwrap() {
            "all" => names.to_vec(),
            one => vec![names.into_iter().find(|name| *name == one).unwrap()],
        };
        let state = |host: &&'static str| (*host, if *host == bad { "failed" } else { "done" });
        let hosts: Vec<_> = hosts.iter().map(state).collect();
        let status = if hosts.iter().any(|(_, state)| *state == "failed") { "failed" } else { "completed" };
        vec![report(request, 1, status, &hosts)]
    });
    (Crowd::start(broker, members.into()), builder)
}

fn deploy(broker: &Broker, args: &[&str], code: i32) -> Ended {
    let mut command = operator(broker, "everything");
    run(command.args(["deploy", "--build-first"]).args(args), code)
}

#[test]
fn hosts_whose_build_passed_are_deployed_to_at_that_commit() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (crowd, builder) = fleet(&broker, &repo, "web2");
    let ended = deploy(&broker, &["--all", "--tier", "test", "--batch", "1", "--output", "json"], 1);
    let (subject, request) = builder.request();
    assert_eq!((subject.as_str(), &request["branch"]), ("build.all", &json!(head)));
    let requests = [crowd.request(), crowd.request()];
    assert_eq!(requests.each_ref().map(|(host, _)| host.as_str()), ["db1", "web1"]);
    assert!(requests.iter().all(|(_, request)| request["commit"] == json!(head)), "{requests:?}");
    assert_eq!(crowd.asked(), Vec::<String>::new());
    let lines = ended.json();
    let builds = lines.iter().find(|line| line["event"] == "builds").unwrap();
    assert_eq!(builds["value"]["builds"][0]["verdict"], "failed");
    let waves = lines.iter().filter(|line| line["event"] == "wave").count();
    assert_eq!((waves, &lines.last().unwrap()["value"]["hosts"][1]["host"]), (2, &json!("web1")));

    let told = deploy(&broker, &["web1", "web2"], 1);
    for said in ["web2  failed     1.2 s  build of foo-1.2 failed", "  | cc: fatal", "web1  completed"] {
        assert!(told.out.contains(said), "no {said:?} in {told}");
    }
    let targets = [builder.request().0, builder.request().0];
    assert_eq!(targets, ["build.web1", "build.web2"]);
}

#[test]
fn where_all_pass_it_ends_as_the_deployment_does() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let (crowd, builder) = fleet(&broker, &repo, "");
    deploy(&broker, &["web1", "--build-repo", "fleet", "--branch", &head], 0);
    assert_eq!(
        (builder.request().0, crowd.asked()),
        ("build.fleet.web1".to_owned(), vec!["web1".to_owned()])
    );
}

#[test]
fn where_nothing_was_built_nothing_is_deployed() {
    let broker = Broker::start();
    let repo = Repo::new();
    repo.commit("flake.nix", "head");
    let (crowd, builder) = fleet(&broker, &repo, "web1");
    deploy(&broker, &["web1"], 1).complains(&["no host was built, so nothing was deployed"]);
    drop(builder);
    let nobody = deploy(&broker, &["web1"], 3);
    nobody.complains(&["no host was built, so nothing was deployed"]);
    assert!(nobody.out.contains("no builder answered"), "{nobody}");
    assert_eq!(crowd.asked(), Vec::<String>::new());
    run(operator(&broker, "everything").args(["deploy", "web1", "--build-repo", "x"]), 2)
        .complains(&["--build-first"]);
    run(operator(&broker, "everything").args(["deploy", "web1", "--build-first", "--no-pin"]), 2)
        .complains(&["--no-pin"]);
}
