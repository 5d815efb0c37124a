//! A deployment is followed, and continues without the client that started it.

use crate::common::{Gate, Host, HostBuilder, NatsServer, hold_in_phase};
use crate::harness::{Session, server};
use serde_json::{Value, json};

fn gated_host(nats: &NatsServer, name: &str) -> (Host, Gate) {
    let host = HostBuilder::new(nats, name, "test", "web").script(&hold_in_phase("build")).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// Starts a deployment with a progress token and waits until the host builds.
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

/// Waits for the final report of the running or last job.
fn final_job(session: &mut Session, host: &str) -> Value {
    let status = session.call("host_status", &json!({"hostname": host, "wait_s": 30}));
    assert_eq!(status.done()["running"], false);
    status.done()["job"].clone()
}

#[test]
fn progress_grows_with_each_phase_to_the_result() {
    let nats = NatsServer::start();
    let script = ["build", "activate"].map(hold_in_phase).join("\n");
    let hosts = ["web1", "web2"].map(|name| {
        let host = HostBuilder::new(&nats, name, "test", "web").script(&script).start();
        (name, Gate::of(&host), host)
    });
    let mut session = Session::open(&nats);
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
    session.close_input();
    session.wait_for_exit();
    session.remaining_messages();
    let is_progress_message = |message: &&Value| message["method"] == "notifications/progress";
    let notifications: Vec<_> =
        session.messages.iter().filter(is_progress_message).map(|message| &message["params"]).collect();
    let values: Vec<_> =
        notifications.iter().map(|notifications| notifications["progress"].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a < b), "{notifications:#?}");
    assert!(notifications.iter().all(|notifications| notifications["total"] == 14.0), "{notifications:#?}");
    assert_eq!(notifications.last().unwrap()["progress"], 14.0);
    assert!(
        notifications.last().unwrap()["message"].as_str().unwrap().contains(": completed in"),
        "{notifications:#?}"
    );
}

#[test]
fn without_a_token_there_is_no_progress() {
    let nats = NatsServer::start();
    let _host = HostBuilder::new(&nats, "web1", "test", "web").start();
    let mut session = Session::open(&nats);
    session.call("deploy", &json!({"hostname": "web1"})).done();
    session.close_input();
    session.wait_for_exit();
    assert_eq!(session.remaining_messages(), Vec::<Value>::new());
}

#[test]
fn a_cancelled_call_stops_following_and_the_host_continues() {
    let nats = NatsServer::start();
    let (_host, gate) = gated_host(&nats, "web1");
    let mut session = Session::open(&nats);
    let id = begin(&mut session, "web1");
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    session.write(&cancelled.to_string());
    let line = session.audit_line();
    let result = line["result"].as_str().unwrap();
    assert!(result.contains("no longer followed; the hosts continue"), "{result}");
    let expected = format!(
        "following deployment {}; the hosts continue even if this call ends",
        line["deployment"].as_str().unwrap()
    );
    session.message(|message| is_progress(message, "web1", &expected));
    let count = session.messages.len();
    let status = session.call("host_status", &json!({"hostname": "web1"}));
    assert_eq!(status.done()["running"], true);
    assert_eq!(status.done()["job"]["deployment"], line["deployment"]);
    // No messages follow for the cancelled call.
    assert_eq!(session.messages.len(), count + 1);
    gate.pass();
    let job = final_job(&mut session, "web1");
    assert_eq!((&job["status"], &job["deployment"]), (&json!("completed"), &line["deployment"]));
}

#[test]
fn attaching_reports_progress_and_ends_at_its_timeout() {
    let nats = NatsServer::start();
    let (_host, gate) = gated_host(&nats, "web1");
    let mut session = Session::with(server(&nats).args(["--timeout", "1"]));
    let answer = session.call("deploy", &json!({"hostname": "web1"}));
    assert_eq!(answer.failed()["hosts"][0]["result"], "unknown");
    assert!(answer.text().contains("host_status with wait_s follows them again"), "{}", answer.text());
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
fn a_client_that_vanishes_is_logged_and_the_host_continues() {
    let nats = NatsServer::start();
    let (_host, gate) = gated_host(&nats, "web1");
    let mut session = Session::open(&nats);
    begin(&mut session, "web1");
    session.close_input();
    assert!(session.wait_for_exit().success());
    let line = session.audit_line();
    assert!(line["result"].as_str().unwrap().contains("the hosts continue"), "{line}");
    gate.pass();
    assert_eq!(final_job(&mut Session::open(&nats), "web1")["status"], "completed");
}

#[test]
fn concurrent_calls_do_not_block_each_other() {
    let nats = NatsServer::start();
    let hosts = ["web1", "web2"].map(|name| gated_host(&nats, name));
    let mut session = Session::open(&nats);
    let calls = ["web1", "web2"].map(|host| begin(&mut session, host));
    hosts[1].1.pass();
    assert_eq!(session.called(calls[1]).done()["hosts"][0]["hostname"], "web2");
    assert_eq!(session.call("host_status", &json!({"hostname": "web1"})).done()["running"], true);
    // A host runs one job at a time.
    let busy = session.call("deploy", &json!({"hostname": "web1"}));
    assert_eq!(busy.failed()["hosts"][0]["job"]["error"], "already_running");
    hosts[0].1.pass();
    assert_eq!(session.called(calls[0]).done()["hosts"][0]["result"], "completed");
}
