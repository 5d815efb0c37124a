//! The builder's builds as they are heard, and a key that may not hear them.

use crate::common::{Broker, Builder, Running, build_report, operator};
use crate::stage::{Console, console};

#[test]
fn a_build_is_seen_as_it_goes() {
    let broker = Broker::start();
    let builder = Builder::start(&broker, |request| {
        vec![build_report(request, 1, "progress", &[("web1", "running"), ("web2", "pending")])]
    });
    let mut console = Console::of(&console(&broker, "everything"), 120, 40);
    console.listens();
    console.types("B");
    console.shows("no build was heard of yet");
    let mut build = Running::start(operator(&broker, "everything").args(["build", "--all"]));
    build.says("web1  building");
    console.line(&["all", "fleet", "3f2a91c", "▶ 1 building  · 1 waiting"]);
    console.types("\r");
    console.line(&["web1 ", "▶ running"]);
    let (_, request) = builder.request();
    let reply_to = request["reply_to"].as_str().unwrap();
    builder.say(reply_to, &build_report(&request, 2, "failed", &[("web1", "failed"), ("web2", "done")]));
    console.line(&["web1 ", "✗ failed", "build of foo-1.2 failed"]);
    console.shows("make: *** [all] Error 1");
    build.ended(1);
}

#[test]
fn a_key_that_hears_nothing_of_builds_is_told_there_and_nowhere_else() {
    let broker = Broker::start();
    // The key of a host may hear nothing that operators hear; of the rest boxes tell.
    let mut console = Console::open(&broker, "web1");
    console.listens();
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
    console.shows("the server refuses build.responses.* to this key");
}
