//! A malformed message ends the connection of a builder and nothing else.

use crate::common::Malformed;
use crate::stage::{Stage, says};

#[test]
fn a_running_build_goes_on_and_its_report_arrives() {
    let mut stage = Stage::new("");
    let gate = stage.gate("gate");
    stage.hosts(&format!("web1 = sh \"web1\" \"read _ < {}; echo > $out\";", stage.at("gate").display()));
    let before = stage.builder.process();
    let reports = stage.build("m-1", "web1");
    reports.until(|report| report["hosts"][0]["state"] == "running");
    let mut malformed = Malformed::connect(&stage.broker, "admin");
    malformed.publish("build.web1");
    stage.builder.logged("connection ended by a malformed message, reconnecting");
    // Said on the new connection, as after every other loss.
    reports.until(|report| report["hosts"][0]["state"] == "running");
    gate.pass();
    says(&reports.verdict(), "completed", "", &[]);
    says(&stage.build("m-2", "web1").verdict(), "completed", "", &[]);
    assert_eq!(stage.builder.process(), before);
}
