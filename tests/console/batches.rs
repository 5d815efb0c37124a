//! A deployment in batches through the console, with real listeners, a pinned branch and an abort.

use crate::common::{Gate, HostBuilder, NatsServer, Repo};
use crate::harness::{Console, ESC, console, waits_in};

#[test]
fn batches_are_shown_one_by_one_and_an_abort_skips_the_rest() {
    let nats = NatsServer::start();
    let repo = Repo::new();
    let head = repo.commit("flake.nix", "head");
    let hosts = [("db1", "db"), ("web1", "web"), ("web2", "web")].map(|(name, role)| {
        let host = HostBuilder::new(&nats, name, "test", role).flake(&repo.url());
        host.script(&waits_in(&["build"])).start()
    });
    let gates = hosts.each_ref().map(Gate::of);
    let mut command = console(&nats, "tester");
    let mut console = Console::of(command.args(["--branch", "master"]), 120, 40);
    console.lists(&["db1", "web1", "web2"]);
    console.types("ad\t\t\t");
    console.types("batch=1 pause=3600");
    console.line(&["batches", "batch=1 pause=3600", "3 batches"]);
    console.line(&["1  ● db1"]);
    console.line(&["3  ● web2"]);
    console.types("\r");
    console.shows("batch 1 of 3: db1");
    console.line(&["db1 ", "build 1/3"]);
    console.line(&["─ switch master", "on 3 hosts, batch 1 of 3"]);
    console.line(&["web1 ", "pending", "in batch 2 of 3"]);

    // All hosts build the commit from the start of the rollout, even if the branch moves.
    repo.commit("flake.nix", "later");
    console.shows(&head[..7]);
    gates[0].pass();
    console.shows("the next batch starts in 3600 s");
    console.line(&["db1 ", "✓ completed"]);
    console.types("a");
    console.line(&["✓ 1 done", "! 2 not started"]);
    console.shows("no further batch was sent: aborted by tester@");
    console.line(&["web2 ", "! not started", "batch 3 of 3 was not sent"]);
    console.types(ESC);
    console.row("db1", &[&head[..7]]);
    console.row("web1", &["● idle"]);
}
