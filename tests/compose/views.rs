//! What operators see of a host: through the MCP server, and on the screens of the console.

use crate::common::{Terminal, operator};
use crate::mcp_session::Session;
use crate::stage::{Stage, checked, sleeper};
use serde_json::json;

/// A service that becomes unhealthy when the file `/run/bad` appears in its container.
fn watched(image: &str) -> String {
    sleeper(image, &format!("tmpfs: [/run]\n{}", checked("test, '!', '-e', /run/bad")))
}

#[test]
fn an_assistant_deploys_and_sees_each_service() {
    let Some(stage) = Stage::new(&[("db", &sleeper("bb:1", "")), ("web", &watched("bb:1"))]) else { return };
    let mut session = Session::open(&stage.nats);
    let deployed = session.call("deploy", &json!({"hostname": "web1"}));
    let text = deployed.text();
    assert!(text.contains("\n  db   done ") && text.contains("\n  web  done "), "{text}");
    let listed = session.call("list_hosts", &json!({}));
    let host = &listed.done()["hosts"][0];
    assert_eq!(
        (&host["engine"], &host["components"]),
        (&json!("compose"), &json!(["db", "web"])),
        "{host:#}"
    );

    stage.commit(&[("services/web/docker-compose.yml", &sleeper("bb:2", &checked("'false'")))]);
    let failed = session.call("deploy", &json!({"hostname": "web1", "services": ["web"]}));
    assert_eq!(failed.0["isError"], true, "{:#}", failed.0);
    let text = failed.text();
    assert!(
        text.contains("web  failed ") && text.contains("health unhealthy") && text.contains("rolled back"),
        "{text}"
    );
    let status = session.call("host_status", &json!({"hostname": "web1"}));
    assert!(status.text().contains("web  failed "), "{}", status.text());
    let logs = session.call("host_logs", &json!({"hostname": "web1"}));
    assert!(logs.text().contains("web: Container web-app-1  Recreate"), "{}", logs.text());
    assert_eq!(stage.status("web"), "running");
}

#[test]
fn the_console_shows_a_failed_service_in_the_row_and_all_services_on_the_host_screen() {
    let services = [("db", sleeper("bb:1", "")), ("web", watched("bb:1"))];
    let services = services.each_ref().map(|(name, compose)| (*name, compose.as_str()));
    let Some(stage) = Stage::with(&services, &["--presence-interval", "1"]) else { return };
    stage.completes("co-1");
    let mut console = operator(&stage.nats, "tester");
    console.arg("tui").env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE");
    let mut console = Terminal::sized(&console, 140, 40);
    console.line(&["web1", "idle"]);
    stage.daemon.docker(&["exec", &stage.container("web"), "touch", "/run/bad"]);
    console.line(&["web1", "not well", "web failed"]);
    console.line(&["1 host", "1 failed service"]);
    console.types("\r");
    console.line(&["Services"]);
    console.line(&["db", "done"]);
    console.line(&["web", "is not well"]);
    console.types("\u{1b}");
    // The service is deployed again, and is well.
    stage.commit(&[("services/web/docker-compose.yml", &watched("bb:2"))]);
    let reports = stage.send("co-2", json!({}));
    console.line(&["web1", "deploy 2/2"]);
    assert_eq!(reports.final_report()["status"], "completed", "{}", stage.log("co-2"));
    console.line(&["web1", "idle"]);
    console.hides("failed service");
}
