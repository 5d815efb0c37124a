//! Only what is proven counts, and text of hosts does no harm.

use crate::chat_server::ChatServer;
use crate::common::{HostBuilder, NatsServer, RawClient, Signer, TestDir};
use crate::stage::{Stage, secret, send_on, webhook};
use serde_json::json;

#[test]
fn forged_reports_are_ignored() {
    let stage = Stage::new(ChatServer::accepting(), "");
    let forged = stage.report("web1", "forged", "failed");
    let payload = forged.to_string().into_bytes();
    let own = "deploy.responses.forged.web1";
    let attacker = RawClient::connect(&stage.nats, "everything");
    // Not signed, on the base subject and on the host's own one.
    attacker.publish_with_headers("deploy.responses.forged", None, &[], &payload);
    attacker.publish_with_headers(own, None, &[], &payload);
    // Signed by another host, by an unknown key, and by the host for another subject.
    for signer in ["web2", "stranger"] {
        let signed = Signer::of(signer).headers_for("report", own, &payload);
        attacker.publish_with_headers(own, None, &signed, &payload);
    }
    let signed = Signer::of("web1").headers_for("report", "deploy.responses.other.web1", &payload);
    attacker.publish_with_headers(own, None, &signed, &payload);
    // A presence that names a job of another host.
    let mut presence = json!({"hostname": "web2", "tier": "test", "deploy_subjects": [], "job": forged});
    presence["job"]["hostname"] = json!("web1");
    let payload = presence.to_string().into_bytes();
    let signed = Signer::of("web2").headers_for("presence", "deploy.responses.presence", &payload);
    attacker.publish_with_headers("deploy.responses.presence", None, &signed, &payload);
    assert_eq!(stage.barrier("d2").body["deployment"]["id"], "d2");
    assert!(stage.chat.received().is_empty());
    // The same report of the host itself counts.
    stage.send(&forged);
    assert_eq!(stage.chat.next().body["deployment"]["id"], "forged");
}

#[test]
fn without_a_fleet_file_the_first_key_of_a_host_counts() {
    let (nats, chat) = (NatsServer::start(), ChatServer::accepting());
    let config = format!("end_after = \"1s\"\n{}", webhook(&chat, "ops", ""));
    let notify = HostBuilder::notify(&nats, &config).start();
    let stage = Stage::of(notify, chat, nats);
    let attacker = RawClient::connect(&stage.nats, "everything");
    let unsigned = stage.report("web1", "d0", "failed").to_string().into_bytes();
    attacker.publish_with_headers("deploy.responses.d0.web1", None, &[], &unsigned);
    stage.send(&stage.report("web1", "d1", "completed"));
    assert_eq!(stage.chat.next().body["deployment"]["id"], "d1");
    let other = stage.report("web1", "d2", "failed").to_string().into_bytes();
    let signed = Signer::of("web2").headers_for("report", "deploy.responses.d2.web1", &other);
    attacker.publish_with_headers("deploy.responses.d2.web1", None, &signed, &other);
    assert_eq!(stage.barrier("d3").body["deployment"]["id"], "d3");
    assert!(stage.chat.received().is_empty());
}

#[test]
fn unproven_hosts_count_only_if_the_file_permits_it() {
    let (nats, chat) = (NatsServer::start(), ChatServer::accepting());
    let config = format!("unproven = \"allow\"\nend_after = \"1s\"\n{}", webhook(&chat, "ops", ""));
    let notify = HostBuilder::notify(&nats, &config).start();
    let stage = Stage::of(notify, chat, nats);
    let base = json!({"hostname": "old1", "status": "failed", "error": "build_failed", "message": "no"});
    RawClient::connect(&stage.nats, "everything").publish("deploy.responses.d1", &base);
    let posted = stage.chat.next();
    assert_eq!(posted.text("title"), "deployment failed on old1");
}

#[test]
fn text_of_hosts_is_printable_short_and_addresses_no_one() {
    let dir = TestDir::new();
    let targets = |chat: &ChatServer| {
        let slack = secret(dir.path(), "slack", &chat.url("/slack"));
        let discord = secret(dir.path(), "discord", &chat.url("/discord"));
        let token = secret(dir.path(), "token", "s3cret-token");
        format!(
            "[targets.slack]\nkind = \"slack\"\nurl_file = {slack:?}\n\
             [targets.discord]\nkind = \"discord\"\nurl_file = {discord:?}\n\
             [targets.room]\nkind = \"matrix\"\nurl = {:?}\nroom = \"!r:h\"\ntoken_file = {token:?}\n{}",
            chat.url("/matrix"),
            webhook(chat, "ops", "")
        )
    };
    let stage = Stage::with(ChatServer::accepting(), targets, |notify| notify);
    let wire = RawClient::connect(&stage.nats, "web1");
    let mut report = stage.report("web1", "d1", "failed");
    report["error"] = json!("build_failed");
    let text = "<!channel> @everyone <@U1> <b>bold</b> & \u{1b}]0;title\u{7}\u{202e}red\nline";
    report["message"] = json!(format!("{text} {}", "x".repeat(3000)));
    report["issuer"] = json!("@here\n\nrequested by root");
    report["revision"] = json!("<!here>");
    send_on(&wire, &report);
    let mut posted: Vec<_> = (0..4).map(|_| stage.chat.next()).collect();
    posted.sort_by_key(|posted| posted.path.clone());
    let [discord, matrix, ops, slack] = &posted[..] else { panic!("{posted:#?}") };
    let (at, safe) = (
        "@\u{200b}",
        "&lt;!channel&gt; @\u{200b}everyone &lt;@\u{200b}U1&gt; &lt;b&gt;bold&lt;/b&gt; &amp; red line xxx",
    );
    for text in [slack.text("text"), matrix.text("formatted_body")] {
        assert!(text.contains(safe), "{text}");
        assert!(!text.replace("<b>", "").replace("</b>", "").replace("<br>", "").contains('<'), "{text}");
    }
    for text in [slack.text("text"), matrix.text("body"), discord.text("content")] {
        assert_eq!(text.matches('@').count(), text.matches(at).count(), "{text}");
        assert!(text.chars().count() < 1000 && text.contains("xxx…"), "{text}");
    }
    assert_eq!(discord.body["allowed_mentions"], json!({"parse": []}));
    assert_eq!(matrix.body["m.mentions"], json!({}));
    // A webhook receives the text, without escapes and control characters.
    let message = ops.text("message");
    assert!(message.contains("<!channel> @everyone <@U1> <b>bold</b> & red line xxx"), "{message}");
    assert!(message.ends_with("\nrequested by @here  requested by root"), "{message}");
    assert!(!message.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{message}");
}
