//! Rollouts that survive: other consoles see what is not sent, control it, and continue it after the first one ends.

use crate::common::{
    Gate, Host, HostBuilder, NatsServer, Repo, Screen, eventually, kill_users, operator, run,
};
use crate::harness::{BACK_TAB, Console, ESC, LEAVE, console, waits_in};
use homelab_deploy::client::interrupted_rollouts;
use jiff::Timestamp;
use rustix::process::Signal;
use std::fs;

/// Three hosts that wait in their builds.
struct Fixture {
    nats: NatsServer,
    head: String,
    _repo: Repo,
    _hosts: Vec<Host>,
    gates: Vec<Gate>,
}

impl Fixture {
    fn start() -> Self {
        let (nats, repo) = (NatsServer::start(), Repo::new());
        let head = repo.commit("flake.nix", "head");
        let host = |(name, role)| {
            let host = HostBuilder::new(&nats, name, "test", role).flake(&repo.url());
            host.script(&waits_in(&["build"])).start()
        };
        let hosts: Vec<_> = [("db1", "db"), ("web1", "web"), ("web2", "web")].map(host).into();
        let gates = hosts.iter().map(Gate::of).collect();
        Self { nats, head, _repo: repo, _hosts: hosts, gates }
    }

    fn console(&self) -> Console {
        let mut command = console(&self.nats, "tester");
        let mut console = Console::of(command.args(["--branch", "master"]), 120, 40);
        console.lists(&["db1", "web1", "web2"]);
        console
    }

    /// A console whose rollout waits in its first batch, on the screen of that rollout.
    fn rollout(&self) -> Console {
        let mut console = self.console();
        console.types(":deploy tier=test batch=1\r");
        console.line(&["batches", "batch=1", "3 batches"]);
        console.types(BACK_TAB);
        console.types("\r");
        console.shows("batch 1 of 3: db1");
        // It opens when it is sent.
        console.line(&["─ switch master", "on 3 hosts, batch 1 of 3"]);
        console.line(&["db1 ", "build"]);
        console
    }

    /// Another console, on the screen of the newest rollout.
    fn other(&self) -> Console {
        let mut console = self.console();
        console.types("v");
        console.line(&["switch", "master"]);
        console.types("\r");
        console.line(&["─ switch master", "on 3 hosts, batch "]);
        console
    }

    /// Lets all hosts complete, and checks that each has one job.
    fn completes(&self) {
        for (host, gate) in ["db1", "web1", "web2"].into_iter().zip(&self.gates) {
            gate.pass();
            let done = || {
                let history =
                    run(operator(&self.nats, "tester").args(["history", host, "--output", "json"]), 0);
                let jobs = history.stdout.matches("\"completed\"").count();
                assert!(jobs < 2, "{host} has two jobs: {history}");
                (jobs == 1).then_some(())
            };
            eventually(&format!("the job of {host}"), done);
        }
    }

    /// Number of interrupted rollouts according to the files of this operator.
    fn interrupted(&self) -> usize {
        let state = self.nats.dir().join("xdg/tester/homelab-deploy/rollout-states");
        let directory = fs::read_dir(state).unwrap().next().unwrap().unwrap().path();
        interrupted_rollouts(&directory, Timestamp::now()).len()
    }

    fn rollouts(&self, args: &[&str], code: i32) -> String {
        let ended = run(operator(&self.nats, "tester").arg("rollouts").args(args), code);
        ended.stdout + &ended.stderr
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Background processes have their own sessions.
        kill_users(self.nats.dir());
    }
}

/// What a console printed after it had restored the terminal.
fn printed(screen: &Screen) -> String {
    screen.raw.rsplit("\u{1b}[?1049l").next().unwrap().to_owned()
}

#[test]
fn two_consoles_see_the_same_plan_and_control_it() {
    let fixture = Fixture::start();
    let mut first = fixture.rollout();
    let mut second = fixture.other();
    for console in [&mut first, &mut second] {
        console.line(&["web1 ", "pending", "in batch 2 of 3"]);
        console.line(&["web2 ", "pending", "in batch 3 of 3"]);
    }
    second.types("p");
    for console in [&mut first, &mut second] {
        console.line(&["paused by tester@", "c continues, a aborts"]);
    }
    // A pause holds the next batch.
    fixture.gates[0].pass();
    for console in [&mut first, &mut second] {
        console.line(&["db1 ", "✓ completed"]);
        console.line(&["web1 ", "pending", "in batch 2 of 3"]);
    }
    // A console that starts later sees it too.
    let mut third = fixture.other();
    third.line(&["paused by tester@"]);
    third.line(&["web2 ", "pending", "in batch 3 of 3"]);
    assert!(fixture.rollouts(&[], 0).contains("1 of 3"));
    third.types("c");
    first.line(&["web1 ", "build"]);
    second.line(&["batch 2 of 3"]);
    second.types("a");
    for console in [&mut first, &mut second, &mut third] {
        console.line(&["no further batch was sent: aborted by tester@"]);
        console.line(&["web2 ", "! not started", "batch 3 of 3 was not sent"]);
    }
    fixture.gates[1].pass();
    first.line(&["web1 ", "✓ completed"]);
    first.types(LEAVE);
    assert_eq!(first.wait_for_exit().code, 0, "nothing is left to ask about");
}

#[test]
fn a_viewer_sees_the_plan_and_has_no_say() {
    let fixture = Fixture::start();
    let mut first = fixture.rollout();
    let mut command = console(&fixture.nats, "viewer");
    let mut viewer = Console::of(command.args(["--branch", "master"]), 120, 40);
    viewer.lists(&["db1", "web1", "web2"]);
    viewer.types("v");
    viewer.line(&["switch", "master"]);
    viewer.types("\r");
    viewer.line(&["web2 ", "pending", "in batch 3 of 3"]);
    viewer.types("p");
    viewer.shows("does not accept this key");
    fixture.gates[0].pass();
    first.line(&["web1 ", "build"]);
    first.types("qqq");
    first.types("s");
    first.wait_for_exit();
}

#[test]
fn leaving_asks_and_a_stop_says_what_was_left_out() {
    let fixture = Fixture::start();
    let head = &fixture.head;
    let mut console = fixture.rollout();
    for key in [LEAVE, "qqq"] {
        console.types(key);
        console.line(&["switch master on 3 hosts: 2 batches with 2 hosts not sent yet"]);
        console.line(&["[ Continue in the background ]", "[ Stop ]", "[ Stay ]"]);
        console.types(if key == LEAVE { ESC } else { "\r" });
        console.hides("[ Stay ]");
    }
    console.row("db1", &["▶ build"]);
    let mut other = fixture.other();
    console.types("q");
    console.shows("[ Stay ]");
    console.types("s");
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left.len()), (0, 0), "{}", screen.text);
    let printed = printed(&screen);
    assert!(printed.contains("switch was not sent to web1, web2; jobs that were sent continue"), "{printed}");
    assert!(printed.contains(&format!("homelab-deploy deploy web1 web2 --branch {head}")), "{printed}");
    other.line(&["no further batch was sent: the console of tester@"]);
    other.line(&["web2 ", "! not started", "batch 3 of 3 was not sent"]);
    assert!(fixture.rollouts(&[], 0).contains("no rollout has batches left"));
}

#[test]
fn a_rollout_continues_in_the_background() {
    let fixture = Fixture::start();
    let mut console = fixture.rollout();
    console.types("qqq");
    console.shows("[ Stay ]");
    console.types("b");
    let screen = console.wait_for_exit();
    assert_eq!((screen.code, screen.left.len()), (0, 0), "{}", screen.text);
    let printed = printed(&screen);
    assert!(printed.contains("continues in the background (process "), "{printed}");
    let mut later = fixture.other();
    later.line(&["web2 ", "pending", "in batch 3 of 3"]);
    fixture.completes();
    later.line(&["✓ 3 done"]);
    let log = printed.split("log: ").nth(1).unwrap().lines().next().unwrap().trim().to_owned();
    eventually("the end of the background process", || {
        fs::read_to_string(&log).ok().filter(|log| log.contains("RESULT"))
    });
}

#[test]
fn a_lost_terminal_continues_in_the_background() {
    for closes in [false, true] {
        let fixture = Fixture::start();
        let console = fixture.rollout();
        if closes {
            assert_eq!(console.closed(), 0);
        } else {
            console.signal(Signal::HUP);
            assert_eq!(console.wait_for_exit().code, 0);
        }
        assert!(fixture.rollouts(&[], 0).contains("not sent: web1, web2"));
        fixture.completes();
    }
}

#[test]
fn a_lost_terminal_of_a_command_continues_in_the_background() {
    let fixture = Fixture::start();
    let mut command = operator(&fixture.nats, "tester");
    command.args(["deploy", "--all", "--tier", "test", "--branch", "master", "--batch", "1"]);
    let mut terminal = crate::common::Terminal::start(&command);
    terminal.shows("batch 1 of 3: db1");
    terminal.signal(Signal::HUP);
    let screen = terminal.wait_for_exit();
    assert_eq!(screen.code, 130, "{}", screen.text);
    assert!(screen.text.contains("continues in the background"), "{}", screen.text);
    assert!(fixture.rollouts(&[], 0).contains("not sent: web1, web2"));
    fixture.completes();
}

#[test]
fn a_process_that_was_killed_is_shown_with_what_is_not_sent() {
    let fixture = Fixture::start();
    let first = fixture.rollout();
    let mut second = fixture.other();
    second.line(&["web1 ", "pending", "in batch 2 of 3"]);
    first.signal(Signal::KILL);
    first.wait_for_exit();
    second.line(&["interrupted: the process that ran it is gone", "c continues", "not sent: web1, web2"]);
    second.line(&["web1 ", "! not started", "batch 2 of 3 was not sent"]);
    second.types("p");
    second.shows("is gone; d deploys to the rest");
    fixture.gates[0].pass();
    second.line(&["db1 ", "✓ completed"]);
    second.types("d");
    second.shows("2 that did not complete");
    second.types(ESC);
    second.hides("2 that did not complete");
    // What is done can be rolled back.
    second.types("u");
    second.shows("[1 that are done]");
}

#[test]
fn a_console_that_starts_later_continues_the_rollout_of_a_killed_one() {
    let fixture = Fixture::start();
    let first = fixture.rollout();
    first.signal(Signal::KILL);
    first.wait_for_exit();
    // The first batch ends while no process follows it.
    fixture.gates[0].pass();
    let mut later = fixture.console();
    later.line(&["rollouts", "1 interrupted"]);
    later.line(&["✗ switch master", "batch 1/3", "interrupted, 2 not sent"]);
    later.types("v\r");
    later.line(&["interrupted: the process that ran it is gone", "c continues"]);
    later.types("c");
    later.shows("continued by this console");
    later.line(&["web1 ", "build"]);
    fixture.completes();
    later.line(&["✓ 3 done"]);
    // Nothing is left of it.
    let mut again = fixture.console();
    again.line(&["● 3 online"]);
    again.hides("interrupted");
}

#[test]
fn an_interrupted_rollout_is_removed() {
    let fixture = Fixture::start();
    let first = fixture.rollout();
    // While its process lives, it is not interrupted.
    let mut second = fixture.console();
    second.line(&["rollouts", "1 running"]);
    second.hides("interrupted");
    assert_eq!(fixture.interrupted(), 0);
    first.signal(Signal::KILL);
    first.wait_for_exit();
    assert_eq!(fixture.interrupted(), 1);
    // The command lists it, too.
    let listed = fixture.rollouts(&[], 0);
    for shown in ["switch master", "1 of 3", "interrupted ", "not sent: web1, web2"] {
        assert!(listed.contains(shown), "no {shown:?} in {listed}");
    }
    let json = fixture.rollouts(&["--output", "json"], 0);
    assert!(json.contains("\"interrupted\":true"), "{json}");
    assert!(fixture.rollouts(&["continue"], 1).contains("is interrupted"));
    let mut later = fixture.console();
    later.line(&["1 interrupted"]);
    later.types("v\ra");
    later.shows("after its process had died");
    later.types("qq");
    later.hides("interrupted");
    let mut again = fixture.console();
    again.line(&["hosts 3"]);
    again.hides("interrupted");
    assert_eq!(fixture.rollouts(&[], 0), "no rollout has batches left to send\n");
}

#[test]
fn an_interrupted_rollout_is_removed_by_the_command() {
    let fixture = Fixture::start();
    let first = fixture.rollout();
    first.signal(Signal::KILL);
    first.wait_for_exit();
    assert!(fixture.rollouts(&["abort"], 0).contains("interrupted, and now removed"));
    assert_eq!(fixture.rollouts(&[], 0), "no rollout has batches left to send\n");
}

#[test]
fn the_terminal_shows_title_progress_and_the_end() {
    let fixture = Fixture::start();
    let mut console = fixture.rollout();
    console.types("a");
    console.line(&["no further batch was sent: aborted by tester@"]);
    fixture.gates[0].pass();
    console.shows("1 completed, 2 not started");
    console.types(LEAVE);
    let raw = console.wait_for_exit().raw;
    for written in [
        "\u{1b}[22;2t",
        "\u{1b}]2;0 % switch master on 3 hosts - homelab-deploy\u{7}",
        "\u{1b}]9;4;1;0\u{7}",
        "\u{1b}]9;switch master on 3 hosts: 1 completed, 2 not started: it was aborted\u{7}\u{1b}]777;notify;homelab-deploy;",
        "\u{1b}]9;4;0;0\u{7}",
        "\u{1b}[23;2t",
    ] {
        assert!(raw.contains(written), "no {written:?} in {raw:?}");
    }
    // Each can be switched off.
    let config = fixture.nats.dir().join("config/tester/homelab-deploy");
    fs::create_dir_all(&config).unwrap();
    fs::write(
        config.join("config.toml"),
        "[console]\ntitle = false\nprogress = false\nnotify = false\nbell = false\n",
    )
    .unwrap();
    let mut console = fixture.console();
    console.types(LEAVE);
    let raw = console.wait_for_exit().raw;
    assert!(!raw.contains("\u{1b}]") && !raw.contains('\u{7}') && !raw.contains("2t"), "{raw:?}");
}
