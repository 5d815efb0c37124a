//! The console in a terminal, and what is read off its screen.

use crate::common::{Broker, Gate, Host, HostBuilder, Screen, Terminal, WAIT, lines, operator};
use crate::raw::only_ours;
use std::ops::{Deref, DerefMut};
use std::process::Command;

/// The key that goes a field back.
pub(crate) const BACK_TAB: &str = "\u{1b}[Z";
pub(crate) const ESC: &str = "\u{1b}";
/// ctrl-c.
pub(crate) const LEAVE: &str = "\u{3}";

/// The console of an operator, in a locale with UTF-8.
pub(crate) fn console(broker: &Broker, user: &str) -> Command {
    let mut command = operator(broker, user);
    command.arg("tui").env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE");
    command.env_remove("HOMELAB_DEPLOY_BRANCH").env_remove("HOMELAB_DEPLOY_SHELL");
    command
}

/// A rebuild program that waits at its gate in each of these phases; its builds tell how far they are.
pub(crate) fn waits_in(phases: &[&str]) -> String {
    let step = |phase: &&str| {
        let build = ",\"done\":1,\"expected\":3,\"activity\":\"building nginx\"";
        let more = if *phase == "build" { build } else { "" };
        format!("echo '@homelab-deploy {{\"phase\":\"{phase}\"{more}}}'\n{WAIT}\n")
    };
    phases.iter().map(step).collect()
}

/// A listener of the tier `test` with such a program.
pub(crate) fn held(broker: &Broker, name: &str, script: &str) -> (Host, Gate) {
    let role = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let host = HostBuilder::new(broker, name, "test", role).script(script).start();
    let gate = Gate::of(&host);
    (host, gate)
}

/// The console in a terminal.
pub(crate) struct Console(Terminal);

impl Console {
    /// At 80×24.
    pub(crate) fn open(broker: &Broker, user: &str) -> Self {
        Self::of(&console(broker, user), 80, 24)
    }

    pub(crate) fn of(command: &Command, columns: u16, rows: u16) -> Self {
        Self(Terminal::sized(command, columns, rows))
    }

    /// Waits until everything that is said is heard: the server has answered a ping that was sent after the subscriptions.
    pub(crate) fn listens(&mut self) {
        self.line(&["homelab-deploy", "● ", " ms"]);
    }

    /// Waits until the row of a host shows all of `texts`; gives the row.
    pub(crate) fn row(&mut self, host: &str, texts: &[&str]) -> String {
        let wanted = |line: &String| name_in(line) == host && texts.iter().all(|text| line.contains(text));
        let what = format!("row of {host} with {texts:?}");
        self.until(&what, |screen| lines(screen).iter().any(wanted));
        self.lines().into_iter().find(wanted).unwrap()
    }

    /// Waits until exactly these hosts are shown, in this order.
    pub(crate) fn lists(&mut self, hosts: &[&str]) {
        self.until(&format!("table of {hosts:?}"), |screen| hosts_of(&lines(screen)) == hosts);
    }

    /// Selects a host that is in view.
    pub(crate) fn select(&mut self, host: &str) {
        self.row(host, &[]);
        let at = hosts_of(&self.lines()).iter().position(|name| *name == host).unwrap();
        self.types("g");
        self.types(&"j".repeat(at));
        self.row(host, &["▸"]);
    }

    /// Waits for its end.
    pub(crate) fn ended(self) -> Screen {
        self.0.ended()
    }

    /// Leaves, and looks at everything that was ever written: all of it must be the console's own.
    pub(crate) fn wrote_only_its_own(mut self) {
        self.types(LEAVE);
        let screen = self.ended();
        only_ours(&screen.raw);
        assert_eq!((screen.code, screen.left), (0, Vec::new()), "{}", screen.text);
    }

    /// Closes its terminal; gives its exit code.
    pub(crate) fn closed(self) -> u32 {
        self.0.closed()
    }

    /// Opens the deploy form and sends what it offers.
    pub(crate) fn deploy(&mut self) {
        self.types("d");
        self.shows("─ deploy ─");
        self.types(BACK_TAB);
        self.types("\r");
    }

    /// The hosts that the form lists, each with all that is said of it.
    pub(crate) fn form_hosts(&self) -> Vec<String> {
        let lines = self.lines();
        let top = lines.iter().position(|line| line.contains("┌─ deploy ─")).expect("a form");
        let before = lines[top].split("┌─ deploy ─").next().unwrap().chars().count();
        let inside = |line: &String| {
            let inside: String = line.chars().skip(before + 1).take_while(|c| *c != '│').collect();
            inside.trim().to_owned()
        };
        // From the first blank line to the next.
        let fields = lines[top + 1..].iter().map(inside).skip_while(|line| !line.is_empty());
        fields.skip(1).take_while(|line| !line.is_empty()).collect()
    }
}

/// What stands where a row has its name: after the border, the cursor, the mark and a blank.
fn name_in(line: &str) -> &str {
    let name = line.char_indices().nth(4).map(|(at, _)| &line[at..]);
    name.and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// The hosts in the table, in order.
fn hosts_of(lines: &[String]) -> Vec<&str> {
    let table = lines.iter().skip_while(|line| name_in(line) != "HOST").skip(1);
    let rows = table.take_while(|line| !line.starts_with(['└', '+']));
    rows.map(|row| name_in(row)).filter(|name| !name.is_empty()).collect()
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
