//! `build`: the builder, asked by an assistant whose operator allows that.

use crate::common::{Broker, Builder, build_report};
use crate::stage::{Session, server};
use serde_json::json;

fn session(broker: &Broker) -> Session {
    let mut command = server(broker);
    Session::of(command.arg("--enable-builds").env("HOMELAB_DEPLOY_NKEY_FILE", broker.key("everything")))
}

#[test]
fn a_host_is_built_and_told_as_a_structure() {
    let broker = Broker::start();
    let builder = Builder::start(&broker, |request| {
        vec![
            build_report(request, 1, "progress", &[("web1", "running")]),
            build_report(request, 2, "completed", &[("web1", "done")]),
        ]
    });
    let mut session = session(&broker);
    let answer = session.call("build", &json!({"target": "web1", "repo": "fleet", "branch": "main"}));
    let done = answer.done();
    assert_eq!((&done["verdict"], &done["hosts"][0]["state"]), (&json!("completed"), &json!("done")));
    assert_eq!(done["hosts"][0]["system"], "/nix/store/abc-nixos-system-web1");
    assert!(answer.text().starts_with("build of web1: completed"), "{}", answer.text());
    let (subject, request) = builder.request();
    assert_eq!(
        (subject.as_str(), &request["issuer"], &request["branch"]),
        ("build.fleet.web1", &json!("mcp"), &json!("main"))
    );
    let line = session.audited();
    assert_eq!(
        (&line["tool"], &line["what"]),
        (&json!("build"), &json!("build web1 of fleet at main")),
        "{line}"
    );
}

#[test]
fn a_failure_is_marked_and_told_with_its_last_lines() {
    let broker = Broker::start();
    let _builder = Builder::start(&broker, |request| {
        vec![build_report(request, 1, "failed", &[("web1", "done"), ("web2", "failed")])]
    });
    let answer = session(&broker).call("build", &json!({"target": "all"}));
    let failed = answer.failed();
    assert_eq!(failed["hosts"][1]["log_tail"], "cc: fatal\nmake: *** [all] Error 1");
    assert!(answer.text().contains("web2: failed: build of foo-1.2 failed"), "{}", answer.text());
}

#[test]
fn no_builder_and_arguments_that_make_no_sense_are_told() {
    let broker = Broker::start();
    let mut session = session(&broker);
    let nobody = session.call("build", &json!({"target": "web1"}));
    assert_eq!(nobody.failed()["verdict"], "silent");
    for (arguments, said) in [
        (json!({}), "target"),
        (json!({"target": "a;b"}), "target: \"a;b\": "),
        (json!({"target": "../x"}), "is not a name"),
        (json!({"target": "web1", "tier": "prod"}), "tier"),
        (json!({"target": "web1", "branch": "a..b"}), "branch"),
    ] {
        session.call("build", &arguments).refused(&[said]);
    }
}

#[test]
fn without_the_flag_there_is_no_such_tool() {
    let broker = Broker::start();
    let answer =
        Session::open(&broker).ask("tools/call", &json!({"name": "build", "arguments": {"target": "all"}}));
    assert!(
        answer["error"]["message"].as_str().unwrap().starts_with("there is no tool \"build\""),
        "{answer}"
    );
}
