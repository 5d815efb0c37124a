//! A deployment in waves through the console: real listeners, a branch that is pinned, and an abort.

use crate::common::{Broker, Gate, HostBuilder, Repo};
use crate::stage::{Console, ESC, console, waits_in};

#[test]
fn waves_are_seen_one_by_one_and_the_rest_is_left_alone_after_an_abort() {
    let broker = Broker::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let hosts = [("db1", "db"), ("web1", "web"), ("web2", "web")].map(|(name, role)| {
        let host = HostBuilder::new(&broker, name, "test", role).flake(&repo.url());
        host.script(&waits_in(&["build"])).start()
    });
    let gates = hosts.each_ref().map(Gate::of);
    let mut command = console(&broker, "tester");
    let mut console = Console::of(command.args(["--branch", "master"]), 120, 40);
    console.lists(&["db1", "web1", "web2"]);
    console.types("ad\r\r\r");
    console.types("batch=1 pause=3600");
    console.line(&["waves", "batch=1 pause=3600", "3 waves"]);
    console.line(&["1  ● db1"]);
    console.line(&["3  ● web2"]);
    console.types("\r\u{1b}[C\r");
    console.row("db1", &["▶ build 1/3"]);
    console.shows("wave 1 of 3: db1");
    console.types("v\r");
    console.line(&["─ switch master", "on 3 hosts, wave 1 of 3"]);
    console.line(&["web1 ", "to come", "in wave 2 of 3"]);

    // What is built is the commit of the beginning, though the branch moves on.
    repo.commit("flake.nix", "later");
    console.shows(&head[..7]);
    gates[0].pass();
    console.shows("the next wave begins in 3600 s");
    console.line(&["db1 ", "✓ completed"]);
    console.types("a");
    console.line(&["✓ 1 done", "! 2 untouched"]);
    console.shows("no further wave began, for it was aborted");
    console.line(&["web2 ", "! untouched", "wave 3 of 3 was not sent"]);
    console.types(ESC);
    console.shows("─ deployments ─");
    console.types(ESC);
    console.row("db1", &[&head[..7]]);
    console.row("web1", &["● idle"]);
}
