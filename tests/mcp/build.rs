//! `build`: an assistant requests builds if its operator allows that.

use crate::common::{FakeBuilder, NatsServer, build_report};
use crate::harness::{Session, server};
use serde_json::json;

fn session(nats: &NatsServer) -> Session {
    let mut command = server(nats);
    Session::with(command.arg("--enable-builds").env("HOMELAB_DEPLOY_NKEY_FILE", nats.key("everything")))
}

#[test]
fn a_build_is_returned_as_a_structure() {
    let nats = NatsServer::start();
    let builder = FakeBuilder::start(&nats, |request| {
        vec![
            build_report(request, 1, "progress", &[("web1", "running")]),
            build_report(request, 2, "completed", &[("web1", "done")]),
        ]
    });
    let mut session = session(&nats);
    let answer = session.call("build", &json!({"target": "web1", "repo": "fleet", "branch": "main"}));
    let done = answer.done();
    assert_eq!((&done["result"], &done["hosts"][0]["state"]), (&json!("completed"), &json!("done")));
    assert_eq!(done["hosts"][0]["system"], "/nix/store/abc-nixos-system-web1");
    assert!(answer.text().starts_with("build of web1: completed"), "{}", answer.text());
    let (subject, request) = builder.request();
    assert_eq!(
        (subject.as_str(), &request["issuer"], &request["branch"]),
        ("build.fleet.web1", &json!("mcp"), &json!("main"))
    );
    let line = session.audit_line();
    assert_eq!(
        (&line["tool"], &line["what"]),
        (&json!("build"), &json!("build web1 of fleet at main")),
        "{line}"
    );
}

#[test]
fn a_failed_build_is_an_error_with_its_last_lines() {
    let nats = NatsServer::start();
    let _builder = FakeBuilder::start(&nats, |request| {
        vec![build_report(request, 1, "failed", &[("web1", "done"), ("web2", "failed")])]
    });
    let answer = session(&nats).call("build", &json!({"target": "all"}));
    let failed = answer.failed();
    assert_eq!(failed["hosts"][1]["log_tail"], "cc: fatal\nmake: *** [all] Error 1");
    assert!(answer.text().contains("web2: failed: build of foo-1.2 failed"), "{}", answer.text());
}

#[test]
fn a_missing_builder_and_invalid_arguments_are_explained() {
    let nats = NatsServer::start();
    let mut session = session(&nats);
    let no_builder = session.call("build", &json!({"target": "web1"}));
    assert_eq!(no_builder.failed()["result"], "silent");
    for (arguments, expected) in [
        (json!({}), "target"),
        (json!({"target": "a;b"}), "target: \"a;b\": "),
        (json!({"target": "../x"}), "is not a name"),
        (json!({"target": "web1", "tier": "prod"}), "tier"),
        (json!({"target": "web1", "branch": "a..b"}), "branch"),
    ] {
        session.call("build", &arguments).refused(&[expected]);
    }
}

#[test]
fn without_the_flag_there_is_no_such_tool() {
    let nats = NatsServer::start();
    let answer =
        Session::open(&nats).request("tools/call", &json!({"name": "build", "arguments": {"target": "all"}}));
    assert!(answer["error"]["message"].as_str().unwrap().starts_with("unknown tool \"build\""), "{answer}");
}
