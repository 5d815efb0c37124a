//! The console in a terminal, and helpers that read its screen.

use crate::ansi::only_ours;
use crate::common::{Gate, Host, HostBuilder, NatsServer, Screen, Terminal, WAIT, lines, operator};
use std::ops::{Deref, DerefMut};
use std::process::Command;

/// The key that moves to the previous field.
pub(crate) const BACK_TAB: &str = "\u{1b}[Z";
pub(crate) const ESC: &str = "\u{1b}";
/// ctrl-c.
pub(crate) const LEAVE: &str = "\u{3}";

/// The console of an operator, in a UTF-8 locale.
pub(crate) fn console(nats: &NatsServer, user: &str) -> Command {
    let mut command = operator(nats, user);
    command.arg("tui").env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE");
    command.env_remove("HOMELAB_DEPLOY_BRANCH").env_remove("HOMELAB_DEPLOY_SHELL");
    command
}

/// A rebuild program that waits at its gate in each of these phases; its builds report their progress.
pub(crate) fn waits_in(phases: &[&str]) -> String {
    let step = |phase: &&str| {
        let build = ",\"done\":1,\"expected\":3,\"activity\":\"building nginx\"";
        let more = if *phase == "build" { build } else { "" };
        format!("echo '@homelab-deploy {{\"phase\":\"{phase}\"{more}}}'\n{WAIT}\n")
    };
    phases.iter().map(step).collect()
}

/// A listener in the tier `test` with such a program.
pub(crate) fn held(nats: &NatsServer, name: &str, script: &str) -> (Host, Gate) {
    let role = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let host = HostBuilder::new(nats, name, "test", role).script(script).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// The console in a terminal.
pub(crate) struct Console(Terminal);

impl Console {
    /// Opens a console of 80×24.
    pub(crate) fn open(nats: &NatsServer, user: &str) -> Self {
        Self::of(&console(nats, user), 80, 24)
    }

    pub(crate) fn of(command: &Command, columns: u16, rows: u16) -> Self {
        Self(Terminal::sized(command, columns, rows))
    }

    /// Waits until the console receives all messages: the server has answered a ping, which followed the subscriptions.
    pub(crate) fn wait_until_subscribed(&mut self) {
        self.line(&["homelab-deploy", "● ", " ms"]);
    }

    /// Waits until the row of a host contains all of `texts`; returns the row.
    pub(crate) fn row(&mut self, host: &str, texts: &[&str]) -> String {
        let wanted = |line: &String| name_in(line) == host && texts.iter().all(|text| line.contains(text));
        let what = format!("row of {host} with {texts:?}");
        self.until(&what, |screen| lines(screen).iter().any(wanted));
        self.lines().into_iter().find(wanted).unwrap()
    }

    /// Waits until the table shows exactly these hosts, in this order.
    pub(crate) fn lists(&mut self, hosts: &[&str]) {
        self.until(&format!("table of {hosts:?}"), |screen| hosts_of(&lines(screen)) == hosts);
    }

    /// Sorts by name, so that no row moves when its state changes.
    pub(crate) fn sort_by_name(&mut self) {
        self.line(&["needs attention first"]);
        self.types(":sort host\r");
        self.line(&["sort: host"]);
    }

    /// Selects a visible host.
    pub(crate) fn select(&mut self, host: &str) {
        self.row(host, &[]);
        let mut lines = self.lines();
        // The hosts may change their order while the keys are typed; then they are typed again.
        for _ in 0..10 {
            let at = hosts_of(&lines).iter().position(|name| *name == host).unwrap();
            self.types(&format!("g{}", "j".repeat(at)));
            lines = self.settled();
            if lines.iter().any(|line| line.contains('▸') && name_in(line) == host) {
                return;
            }
        }
        panic!("{host} is not selected:\n{}", lines.join("\n"));
    }

    /// Waits until the console has ended.
    pub(crate) fn wait_for_exit(self) -> Screen {
        self.0.wait_for_exit()
    }

    /// Quits the console and checks that it has written only its own sequences.
    pub(crate) fn wrote_only_its_own(mut self) {
        self.types(LEAVE);
        let screen = self.wait_for_exit();
        only_ours(&screen.raw);
        assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    }

    /// Closes the terminal; returns the exit code.
    pub(crate) fn closed(self) -> u32 {
        self.0.closed()
    }

    /// Opens the deploy form and sends its default plan.
    pub(crate) fn deploy(&mut self) {
        self.types("d");
        self.shows("─ deploy ─");
        self.types(BACK_TAB);
        self.types("\r");
    }

    /// The hosts in the form, each with the rest of its line.
    pub(crate) fn form_hosts(&self) -> Vec<String> {
        let lines = self.lines();
        let top = lines.iter().position(|line| line.contains("┌─ deploy ─")).expect("a form");
        let before = lines[top].split("┌─ deploy ─").next().unwrap().chars().count();
        let inside = |line: &String| {
            let inside: String = line.chars().skip(before + 1).take_while(|c| !"│┃".contains(*c)).collect();
            inside.trim().to_owned()
        };
        // The hosts are between the first blank line and the next.
        let fields = lines[top + 1..].iter().map(inside).skip_while(|line| !line.is_empty());
        fields.skip(1).take_while(|line| !line.is_empty()).collect()
    }
}

/// The name in a row: it follows the frame, the cursor, the mark and a space.
fn name_in(line: &str) -> &str {
    let name = line.char_indices().nth(4).map(|(at, _)| &line[at..]);
    name.and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// The hosts in the table, in display order.
fn hosts_of(lines: &[String]) -> Vec<&str> {
    let table = lines.iter().skip_while(|line| name_in(line) != "HOST").skip(1);
    let rows = table.take_while(|line| !line.starts_with(['└', '+']));
    // A heading such as "needs attention" has one space between its words.
    let hosts = rows.filter(|row| {
        !["needs attention ", "working ", "well "]
            .iter()
            .any(|heading| row.contains(&format!("   {heading}")))
    });
    hosts.map(|row| name_in(row)).filter(|name| !name.is_empty()).collect()
}

impl Deref for Console {
    type Target = Terminal;
    fn deref(&self) -> &Terminal {
        &self.0
    }
}

impl DerefMut for Console {
    fn deref_mut(&mut self) -> &mut Terminal {
        &mut self.0
    }
}
