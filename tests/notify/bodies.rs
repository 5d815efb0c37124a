//! What each kind of target receives.

use crate::chat_server::{ChatServer, Posted};
use crate::common::{HostBuilder, TestDir, operator, run};
use crate::stage::{Stage, secret};
use ring::hmac;
use serde_json::{Value, json};
use std::path::Path;

/// A target of each kind, with secrets in this directory.
fn every_kind(chat: &ChatServer, dir: &Path) -> String {
    let url = |path: &str| chat.url(path);
    let slack = secret(dir, "slack", &format!("{}\n", url("/services/T0/B0/s3cret")));
    let discord = secret(dir, "discord", &url("/api/webhooks/1/s3cret"));
    let token = secret(dir, "token", "tk_s3cret-token\n");
    let signing = secret(dir, "signing", "s3cret-signing");
    format!(
        "[targets.a-ntfy]\nkind = \"ntfy\"\nurl = {:?}\ntoken_file = {token:?}\n\
         [targets.b-matrix]\nkind = \"matrix\"\nurl = {:?}\nroom = \"!abc:example.org\"\ntoken_file = {token:?}\n\
         [targets.c-slack]\nkind = \"slack\"\nurl_file = {slack:?}\n\
         [targets.d-discord]\nkind = \"discord\"\nurl_file = {discord:?}\n\
         [targets.ops]\nkind = \"webhook\"\nurl = {:?}\nsecret_file = {signing:?}\n",
        url("/fleet-topic"),
        url("/"),
        url("/ops"),
    )
}

/// The schema of the webhook's body, without unknown fields.
fn schema() -> Value {
    let read = |name: &str| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas").join(format!("{name}.json"));
        std::fs::read_to_string(file).unwrap().replace("common.json#", "#")
    };
    let mut schema: Value = serde_json::from_str(&read("notification")).unwrap();
    let common: Value = serde_json::from_str(&read("common")).unwrap();
    schema["$defs"] = common["$defs"].clone();
    schema["additionalProperties"] = json!(false);
    schema
}

pub(crate) fn assert_schema(body: &Value) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let errors: Vec<_> = validator.iter_errors(body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{body:#}");
}

#[test]
fn a_deployment_to_several_hosts_is_one_message_of_each_kind() {
    let dir = TestDir::new();
    let stage = Stage::with(ChatServer::accepting(), |chat| every_kind(chat, dir.path()), |notify| notify);
    let _web1 = HostBuilder::new(&stage.nats, "web1", "test", "web").start();
    let _web2 = HostBuilder::new(&stage.nats, "web2", "test", "web").start();
    run(operator(&stage.nats, "admin").args(["deploy", "web1", "web2"]), 0);
    let mut posted: Vec<Posted> = (0..5).map(|_| stage.chat.next()).collect();
    posted.sort_by_key(|posted| posted.path.clone());
    let [ntfy, matrix, discord, ops, slack] = &posted[..] else { panic!("{posted:#?}") };

    assert_eq!((&*ntfy.method, &*ntfy.path), ("POST", "/"));
    assert_eq!(ntfy.header("authorization"), "Bearer tk_s3cret-token");
    assert_eq!(ntfy.text("topic"), "fleet-topic");
    assert_eq!(ntfy.text("title"), "switch master: 2 completed");
    let message = ntfy.text("message");
    assert!(message.starts_with("completed: web1, web2\nlongest job: "), "{message}");
    assert!(message.ends_with(&format!("\nrequested by admin@{}", hostname())), "{message}");
    assert_eq!((&ntfy.body["priority"], &ntfy.body["tags"]), (&json!(3), &json!(["white_check_mark"])));

    let id = ops.text("id");
    assert_eq!(matrix.method, "PUT");
    // The id of the transaction is the one of the notification for this target.
    let path = "/_matrix/client/v3/rooms/%21abc%3Aexample.org/send/m.room.message/";
    assert!(matrix.path.starts_with(path) && matrix.path.len() == path.len() + id.len(), "{}", matrix.path);
    assert_eq!(matrix.header("authorization"), "Bearer tk_s3cret-token");
    assert_eq!(matrix.text("msgtype"), "m.text");
    assert!(matrix.text("body").starts_with("switch master: 2 completed\ncompleted: web1, web2\n"));
    assert_eq!(matrix.text("format"), "org.matrix.custom.html");
    let html = matrix.text("formatted_body");
    assert!(html.starts_with("<b>switch master: 2 completed</b><br>completed: web1, web2<br>"), "{html}");
    assert_eq!(matrix.body["m.mentions"], json!({}));

    assert_eq!(slack.path, "/services/T0/B0/s3cret");
    assert!(slack.text("text").starts_with("*switch master: 2 completed*\ncompleted: web1, web2\n"));
    assert_eq!(slack.body.as_object().unwrap().len(), 1);

    assert_eq!(discord.path, "/api/webhooks/1/s3cret");
    assert!(discord.text("content").starts_with("**switch master: 2 completed**\ncompleted: web1, web2\n"));
    assert_eq!(discord.body["allowed_mentions"], json!({"parse": []}));

    assert_eq!(ops.header("content-type"), "application/json");
    assert_schema(&ops.body);
    assert_eq!((ops.text("event"), ops.text("result")), ("end", "completed"));
    let deployment = &ops.body["deployment"];
    assert_eq!((&deployment["completed"], &deployment["failed"]), (&json!(2), &json!(0)));
    assert_eq!((&deployment["action"], &deployment["revision"]), (&json!("switch"), &json!("master")));
    let hosts = deployment["hosts"].as_array().unwrap();
    let of = |n: usize, field: &str| hosts[n][field].as_str().unwrap();
    assert_eq!((of(0, "host"), of(0, "tier"), of(0, "role")), ("web1", "test", "web"));
    assert_eq!((of(1, "host"), of(1, "result")), ("web2", "completed"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"s3cret-signing");
    let signature = ops.header("homelab-deploy-signature").strip_prefix("sha256=").unwrap();
    let signature = data_encoding::HEXLOWER.decode(signature.as_bytes()).unwrap();
    assert!(hmac::verify(&key, &ops.bytes, &signature).is_ok());

    // Nothing else was posted.
    stage.barrier_among_others("d2");
    let more = stage.chat.received();
    assert!(more.iter().all(|posted| !posted.body.to_string().contains("2 completed")), "{more:#?}");
}

#[test]
fn failures_name_their_cause_and_have_a_priority() {
    let stage = Stage::with(
        ChatServer::accepting(),
        |chat| {
            let ntfy = |name: &str, more: &str| {
                let url = chat.url(&format!("/{name}"));
                format!("[targets.{name}]\nkind = \"ntfy\"\nurl = {url:?}\n{more}\n")
            };
            let own = "priority = { failed = 5 }\ntags = { failed = [\"skull\", \"fleet\"] }\n\
                       title = \"{result} {action} on {hosts} ({failed}/{total})\"\nmessage = \"{id}: {message}\"";
            format!("{}{}", ntfy("plain", ""), ntfy("own", own))
        },
        |notify| notify,
    );
    let mut report = stage.report("web1", "d1", "failed");
    report["error"] = json!("verification_failed");
    report["message"] = json!("the health check failed; rolled back to the previous system");
    (report["cause"], report["rolled_back"]) = (json!("nginx: bind() failed"), json!(true));
    stage.send(&report);
    let mut posted = [stage.chat.next(), stage.chat.next()];
    posted.sort_by_key(|posted| posted.text("topic").to_owned());
    let [own, plain] = posted;
    assert_eq!(plain.text("title"), "switch main 3f2a91c failed on web1");
    let message =
        "web1 failed: verification failed: nginx: bind() failed (rolled back)\nrequested by alice@laptop";
    assert_eq!(plain.text("message"), message);
    assert_eq!((&plain.body["priority"], &plain.body["tags"]), (&json!(4), &json!(["rotating_light"])));
    assert_eq!(own.text("title"), "failed switch on web1 (1/1)");
    assert_eq!(own.text("message"), format!("d1: {message}"));
    assert_eq!((&own.body["priority"], &own.body["tags"]), (&json!(5), &json!(["skull", "fleet"])));
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
