//! A new system that cuts off others, or its own host some seconds later: rolled back automatically.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Host, LISTENER, Lab, Point};
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

/// A host `web1` that runs the NATS server, which `db1` is reached through.
fn with_nats_on_a_host(arguments: &[&str]) -> (Host, Host, Lab) {
    let mut lab = Lab::deploying(arguments);
    let base = Closure::new("base");
    let url = lab.nats_on_first_host(&base);
    lab.flake.commit_each(&[("web1", &base.clone().nats_server())]);
    let server = lab.host("web1").nats_server().boot();
    lab.connect_to(&url);
    lab.online("web1");
    let other = lab.boot("db1");
    (server, other, lab)
}

#[test]
fn host_with_the_nats_server_that_cuts_itself_off_rolls_back() {
    let (server, _other, lab) = with_nats_on_a_host(&["--confirm-timeout 10", "--presence-interval 2"]);
    let before = server.current_system();
    lab.flake.commit_each(&[("web1", &Closure::new("bad").nats_server().fault(Fault::CutsNetwork))]);
    let _reports = lab.request("web1", "j-1", &json!({}));
    server.logs("j-1", "has heard no other client since the activation");
    let report = lab.verdict("web1");
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert_eq!((server.current_system(), server.boot_default()), (before.clone(), before));
    server.ended("j-1", &report, "base");
    // The fleet is there again.
    lab.online("db1");

    // What cuts nobody off is confirmed by the other host, though no operator follows.
    lab.flake.commit_each(&[("web1", &Closure::new("good").nats_server().service("web", "sleep 1002"))]);
    let report = lab.request("web1", "j-2", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    server.ended("j-2", &report, "good");
}

#[test]
fn host_that_others_are_reached_through_is_confirmed_by_one_of_them() {
    let lab = Lab::deploying(&["--confirm-timeout 10", "--presence-interval 2"]);
    let [router, other] = lab.boot_all(["web1", "db1"]);
    let argument = "--confirm-peers db1";
    lab.flake.commit_each(&[("web1", &Closure::new("router").listener_argument(argument))]);
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    // It reaches the NATS server itself, and cuts the other host off.
    let bad = Closure::new("bad").listener_argument(argument).service("web", "sleep 1002");
    let cut = "touch /run/cut";
    lab.flake.commit_each(&[("web1", &bad.at(Point::Activate, cut))]);
    let reports = lab.request("web1", "j-2", &json!({}));
    eventually("the cut", || (router.run("test -e /run/cut").code == 0).then_some(()));
    other.cut();
    // As the old system does for the hosts behind it.
    router.logs("j-2", "going back");
    other.restore();
    let report = reports.verdict();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    router.ended("j-2", &report, "router");
    lab.online("db1");
}

#[test]
fn network_that_is_lost_seconds_after_the_activation_is_noticed_before_anything_is_kept() {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("bad").fault(Fault::LateCut(9)));
    let report = {
        let _reports = lab.request("web1", "j-1", &json!({}));
        host.logs("j-1", "the activation touched lab-network.service");
        host.logs("j-1", "going back");
        lab.verdict("web1")
    };
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert_eq!((host.system_profile(), host.boot_default()), (before.clone(), before));
    assert_eq!(host.generations().len(), 1);
    host.ended("j-1", &report, "base");
}

#[test]
fn new_system_is_judged_by_its_own_health_checks() {
    let lab = Lab::deploying(&["--health-timeout 5"]);
    let host = lab.boot("web1");
    // A check that fails in the new system, which brings it.
    let broken = "--health-check 'no-such-program --check'";
    lab.flake.commit(&Closure::new("broken").listener_argument(broken));
    let report = lab.request("web1", "j-1", &json!({})).verdict();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert!(report["message"].as_str().unwrap().contains("no-such-program --check"), "{report}");
    host.ended("j-1", &report, "base");
    // One that is there already, and that the new system no longer has, does not judge it.
    lab.flake.commit(&Closure::new("kept").listener_argument(broken));
    let kept = lab.request("web1", "j-2", &json!({"on_failure": "keep"})).verdict();
    assert_eq!(kept["status"], "completed", "{kept}");
    lab.flake.commit(&Closure::new("mended"));
    let report = lab.request("web1", "j-3", &json!({})).verdict();
    assert_eq!(report["status"], "completed", "{report}");
    host.ended("j-3", &report, "mended");
    assert_eq!(host.unit(LISTENER).active, "active");
}
