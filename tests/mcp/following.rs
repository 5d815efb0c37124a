//! A deployment is followed, and goes on without whoever began it.

use crate::common::{Broker, Gate, Host, HostBuilder, held_in};
use crate::stage::{Session, server};
use serde_json::{Value, json};

fn held(broker: &Broker, name: &str) -> (Host, Gate) {
    let host = HostBuilder::new(broker, name, "test", "web").script(&held_in("build")).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// Begins a deployment with a token; waits until the host builds.
fn begin(session: &mut Session, host: &str) -> u64 {
    let params = json!({"name": "deploy", "arguments": {"hostname": host}, "_meta": {"progressToken": host}});
    let id = session.send("tools/call", &params);
    session.message(|message| is_progress(message, host, "build"));
    id
}

fn is_progress(message: &Value, token: impl Into<Value>, text: &str) -> bool {
    let params = &message["params"];
    message["method"] == "notifications/progress"
        && params["progressToken"] == token.into()
        && params["message"].as_str().is_some_and(|message| message.contains(text))
}

/// The verdict of the running or last job, waited for.
fn verdict(session: &mut Session, host: &str) -> Value {
    let status = session.call("host_status", &json!({"hostname": host, "wait_s": 30}));
    assert_eq!(status.done()["running"], false);
    status.done()["job"].clone()
}

#[test]
fn progress_grows_with_each_phase_to_the_verdict() {
    let broker = Broker::start();
    let script = ["build", "activate"].map(held_in).join("\n");
    let hosts = ["web1", "web2"].map(|name| {
        let host = HostBuilder::new(&broker, name, "test", "web").script(&script).start();
        (name, Gate::of(&host), host)
    });
    let mut session = Session::open(&broker);
    let params = json!({"name": "deploy", "arguments": {"role": "web"}, "_meta": {"progressToken": 7}});
    let id = session.send("tools/call", &params);
    for phase in ["build", "activate"] {
        for (name, gate, _) in &hosts {
            let text = format!("{name}: {phase}");
            session.message(|message| is_progress(message, 7, &text));
            gate.pass();
        }
    }
    assert_eq!(session.called(id).done()["completed"], true);
    session.leave();
    session.ended();
    session.rest();
    let is_told = |message: &&Value| message["method"] == "notifications/progress";
    let told: Vec<_> = session.heard.iter().filter(is_told).map(|message| &message["params"]).collect();
    let values: Vec<_> = told.iter().map(|told| told["progress"].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a < b), "{told:#?}");
    assert!(told.iter().all(|told| told["total"] == 14.0), "{told:#?}");
    assert_eq!(told.last().unwrap()["progress"], 14.0);
    assert!(told.last().unwrap()["message"].as_str().unwrap().contains(": completed in"), "{told:#?}");
}

#[test]
fn without_a_token_there_is_no_progress() {
    let broker = Broker::start();
    let _host = HostBuilder::new(&broker, "web1", "test", "web").start();
    let mut session = Session::open(&broker);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    session.leave();
    session.ended();
    assert_eq!(session.rest(), Vec::<Value>::new());
}

#[test]
fn a_cancelled_call_is_no_longer_followed_and_the_host_goes_on() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1");
    let mut session = Session::open(&broker);
    let id = begin(&mut session, "web1");
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    session.write(&cancelled.to_string());
    let line = session.audited();
    let result = line["result"].as_str().unwrap();
    assert!(result.contains("no longer followed; what runs on the hosts goes on"), "{result}");
    let said = format!(
        "following deployment {}; whatever becomes of this call, the hosts go on",
        line["deployment"].as_str().unwrap()
    );
    session.message(|message| is_progress(message, "web1", &said));
    let heard = session.heard.len();
    let status = session.call("host_status", &json!({"hostname": "web1"}));
    assert_eq!(status.done()["running"], true);
    assert_eq!(status.done()["job"]["deployment"], line["deployment"]);
    // The cancelled call is told nothing more.
    assert_eq!(session.heard.len(), heard + 1);
    gate.pass();
    let job = verdict(&mut session, "web1");
    assert_eq!((&job["status"], &job["deployment"]), (&json!("completed"), &line["deployment"]));
}

#[test]
fn taking_up_again_tells_progress_too_and_ends_with_its_time() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1");
    let mut session = Session::of(server(&broker).args(["--timeout", "1"]));
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    assert_eq!(answer.failed()["hosts"][0]["verdict"], "unknown");
    assert!(answer.text().contains("host_status with wait_s takes it up again"), "{}", answer.text());
    let status = session.call("host_status", &json!({"hostname": "web1", "wait_s": 1}));
    assert_eq!(status.done()["running"], true);
    let arguments = json!({"hostname": "web1", "deployment": answer.failed()["deployment"], "wait_s": 30});
    let params = json!({"name": "host_status", "arguments": arguments, "_meta": {"progressToken": "again"}});
    let id = session.send("tools/call", &params);
    session.message(|message| is_progress(message, "again", "build"));
    gate.pass();
    session.message(|message| is_progress(message, "again", "completed in"));
    let status = session.called(id);
    assert_eq!(
        (&status.done()["job"]["status"], &status.done()["running"]),
        (&json!("completed"), &json!(false))
    );
}

#[test]
fn a_client_that_vanishes_leaves_a_line_and_the_host_goes_on() {
    let broker = Broker::start();
    let (_host, gate) = held(&broker, "web1");
    let mut session = Session::open(&broker);
    begin(&mut session, "web1");
    session.leave();
    assert!(session.ended().success());
    let line = session.audited();
    assert!(line["result"].as_str().unwrap().contains("what runs on the hosts goes on"), "{line}");
    gate.pass();
    assert_eq!(verdict(&mut Session::open(&broker), "web1")["status"], "completed");
}

#[test]
fn two_calls_at_once_do_not_wait_for_each_other() {
    let broker = Broker::start();
    let hosts = ["web1", "web2"].map(|name| held(&broker, name));
    let mut session = Session::open(&broker);
    let calls = ["web1", "web2"].map(|host| begin(&mut session, host));
    hosts[1].1.pass();
    assert_eq!(session.called(calls[1]).done()["hosts"][0]["hostname"], "web2");
    assert_eq!(session.call("host_status", &json!({"hostname": "web1"})).done()["running"], true);
    // A host does one thing at a time.
    let busy = session.call("deploy", &json!({"hostname": "web1"}));
    assert_eq!(busy.failed()["hosts"][0]["job"]["error"], "already_running");
    hosts[0].1.pass();
    assert_eq!(session.called(calls[0]).done()["hosts"][0]["verdict"], "completed");
}
