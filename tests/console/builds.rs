//! The builder's builds, live, and a key without permission for them.

use crate::common::{FakeBuilder, NatsServer, RunningCommand, build_report, operator};
use crate::harness::{Console, console};

#[test]
fn a_build_is_shown_live() {
    let nats = NatsServer::start();
    let builder = FakeBuilder::start(&nats, |request| {
        vec![build_report(request, 1, "progress", &[("web1", "running"), ("web2", "pending")])]
    });
    let mut console = Console::of(&console(&nats, "everything"), 120, 40);
    console.wait_until_subscribed();
    console.types("B");
    console.shows("no builds yet");
    let mut build = RunningCommand::start(operator(&nats, "everything").args(["build", "--all"]));
    build.wait_for_line("web1  building");
    console.line(&["all", "fleet", "3f2a91c", "▶ 1 building  · 1 waiting"]);
    console.types("\r");
    console.line(&["web1 ", "▶ running"]);
    let (_, request) = builder.request();
    let reply_to = request["reply_to"].as_str().unwrap();
    builder.publish(reply_to, &build_report(&request, 2, "failed", &[("web1", "failed"), ("web2", "done")]));
    console.line(&["web1 ", "✗ failed", "build of foo-1.2 failed"]);
    console.shows("make: *** [all] Error 1");
    build.wait_for_exit(1);
}

#[test]
fn a_key_without_build_permission_is_explained_on_the_builds_screen_only() {
    let nats = NatsServer::start();
    // The key of a host lacks all permissions of an operator; dialogs show the other violations.
    let mut console = Console::open(&nats, "web1");
    console.wait_until_subscribed();
    for _ in 0..8 {
        if console.lines().iter().any(|line| line.contains("Not permitted")) {
            assert!(
                !console.lines().iter().any(|line| line.contains("build.responses")),
                "{:#?}",
                console.lines()
            );
            console.types("\r");
            console.settled();
        }
    }
    console.types("B");
    console.shows("this key has no permission for build.responses.*");
}
