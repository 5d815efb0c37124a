//! A malformed message closes the builder's connection and has no other effect.

use crate::common::MalformedClient;
use crate::stage::{Stage, says};

#[test]
fn a_running_build_continues_and_its_report_arrives() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let before = stage.builder.process();
    let reports = stage.build("m-1", "web1");
    reports.until(|report| report["hosts"][0]["state"] == "running");
    let mut malformed = MalformedClient::connect(&stage.nats, "admin");
    malformed.publish("build.web1");
    stage.builder.wait_for_log("connection ended by a malformed message, reconnecting");
    // The state is reported on the new connection, as after every reconnect.
    reports.until(|report| report["hosts"][0]["state"] == "running");
    gate.pass();
    says(&reports.final_report(), "completed", "", &[]);
    says(&stage.build("m-2", "web1").final_report(), "completed", "", &[]);
    assert_eq!(stage.builder.process(), before);
}
