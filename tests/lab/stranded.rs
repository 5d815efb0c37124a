//! A new system that cuts off other hosts, or its own host some seconds later: it is rolled back automatically.

use crate::common::eventually;
use crate::harness::{Closure, Fault, Host, LISTENER, Lab, Point};
use serde_json::{Value, json};

fn ended(report: &Value) -> (&Value, &Value) {
    (&report["error"], &report["rolled_back"])
}

/// Boots `web1`, which runs the NATS server, and `db1`, which connects to it.
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
    server.wait_for_log("j-1", "no other client has confirmed it since the activation");
    let report = lab.final_report("web1");
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert_eq!((server.current_system(), server.boot_default()), (before.clone(), before));
    server.assert_result("j-1", &report, "base");
    // The other hosts are connected again.
    lab.online("db1");

    // The other host confirms a system that cuts no host off, without an operator.
    lab.flake.commit_each(&[("web1", &Closure::new("good").nats_server().service("web", "sleep 1002"))]);
    let report = lab.request("web1", "j-2", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    server.assert_result("j-2", &report, "good");
}

#[test]
fn host_that_others_are_reached_through_is_confirmed_by_one_of_them() {
    let lab = Lab::deploying(&["--confirm-timeout 10", "--presence-interval 2"]);
    let [router, other] = lab.boot_all(["web1", "db1"]);
    let argument = "--confirm-peers db1";
    lab.flake.commit_each(&[("web1", &Closure::new("router").listener_argument(argument))]);
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    // The router itself can reach the NATS server, but cuts the other host off.
    let bad = Closure::new("bad").listener_argument(argument).service("web", "sleep 1002");
    let cut = "touch /run/cut";
    lab.flake.commit_each(&[("web1", &bad.at(Point::Activate, cut))]);
    let reports = lab.request("web1", "j-2", &json!({}));
    eventually("the cut", || (router.run("test -e /run/cut").code == 0).then_some(()));
    other.cut();
    // The old system would restore the routing of the other host.
    router.wait_for_log("j-2", "rolling back");
    other.restore();
    let report = reports.final_report();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    router.assert_result("j-2", &report, "router");
    lab.online("db1");
}

#[test]
fn network_loss_seconds_after_the_activation_is_noticed_before_persist() {
    let lab = Lab::deploying(&["--confirm-timeout 8"]);
    let host = lab.boot("web1");
    let before = host.current_system();
    lab.flake.commit(&Closure::new("bad").fault(Fault::LateCut(9)));
    let report = {
        let _reports = lab.request("web1", "j-1", &json!({}));
        host.wait_for_log("j-1", "the activation touched lab-network.service");
        host.wait_for_log("j-1", "rolling back");
        lab.final_report("web1")
    };
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert_eq!((host.system_profile(), host.boot_default()), (before.clone(), before));
    assert_eq!(host.generations().len(), 1);
    host.assert_result("j-1", &report, "base");
}

#[test]
fn new_system_is_verified_by_its_own_health_checks() {
    let lab = Lab::deploying(&["--health-timeout 5"]);
    let host = lab.boot("web1");
    // The new system brings a check that fails.
    let broken = "--health-check 'no-such-program --check'";
    lab.flake.commit(&Closure::new("broken").listener_argument(broken));
    let report = lab.request("web1", "j-1", &json!({})).final_report();
    assert_eq!(ended(&report), (&json!("verification_failed"), &json!(true)), "{report}");
    assert!(report["message"].as_str().unwrap().contains("no-such-program --check"), "{report}");
    host.assert_result("j-1", &report, "base");
    // A check that the new system no longer has does not count.
    lab.flake.commit(&Closure::new("kept").listener_argument(broken));
    let report = lab.request("web1", "j-2", &json!({"on_failure": "keep"})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    lab.flake.commit(&Closure::new("fixed"));
    let report = lab.request("web1", "j-3", &json!({})).final_report();
    assert_eq!(report["status"], "completed", "{report}");
    host.assert_result("j-3", &report, "fixed");
    assert_eq!(host.unit(LISTENER).active, "active");
}
