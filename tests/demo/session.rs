//! A demo in a terminal, and commands of its operator.

use crate::common::{CommandOutput, RawClient, Terminal, TestDir, binary, lines, run};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Keys of a terminal.
pub(crate) const BACK_TAB: &str = "\u{1b}[Z";
pub(crate) const ESC: &str = "\u{1b}";
pub(crate) const LEFT: &str = "\u{1b}[D";
pub(crate) const RIGHT: &str = "\u{1b}[C";

/// Number of lines of the tallest screen.
const MOST_LINES: usize = 80;

/// A running demo, which ends when this is dropped.
pub(crate) struct DemoSession {
    pub(crate) console: Terminal,
    pub(crate) temporary: TestDir,
    pub(crate) directory: PathBuf,
    pub(crate) url: String,
}

impl DemoSession {
    /// Starts a demo and waits until all of its hosts are online.
    pub(crate) fn open(hosts: usize) -> Self {
        Self::open_with(hosts, |_| {})
    }

    /// Starts a demo after a change to its command.
    pub(crate) fn open_with(hosts: usize, change: impl FnOnce(&mut Command)) -> Self {
        Self::sized(hosts, (120, 40), change)
    }

    /// Starts a demo in a terminal of this size.
    pub(crate) fn sized(
        hosts: usize,
        (columns, lines): (u16, u16),
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let temporary = TestDir::new();
        let mut command = Command::new(binary());
        command.args(["demo", "--hosts", &hosts.to_string()]).env("TMPDIR", temporary.path());
        command.env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE").env_remove("NO_COLOR");
        change(&mut command);
        let mut console = Terminal::sized(&command, columns, lines);
        let url = console.wrote("the NATS server listens on ");
        let directory = std::fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
        console.line(&[&format!("● {hosts} online")]);
        Self { console, temporary, directory, url }
    }

    /// Waits until the row of a host contains all of `texts`.
    pub(crate) fn row(&mut self, host: &str, texts: &[&str]) {
        let name = |line: &str| line.chars().skip(4).take_while(|c| *c != ' ').collect::<String>();
        let wanted = |line: &String| name(line) == host && texts.iter().all(|text| line.contains(text));
        let what = format!("row of {host} with {texts:?}");
        self.console.until(&what, |screen| lines(screen).iter().any(wanted));
    }

    /// Presses `j` until the selected line contains all of `texts`.
    pub(crate) fn down_to(&mut self, texts: &[&str]) {
        let is_selected = |line: &String| line.starts_with("│ ▸") || line.starts_with("│▸");
        let is_there = |line: &String| is_selected(line) && texts.iter().all(|text| line.contains(text));
        for _ in 0..MOST_LINES {
            if self.console.settled().iter().any(is_there) {
                return;
            }
            self.console.types("j");
        }
        panic!("no {texts:?} on the way down to\n{}", self.console.lines().join("\n"));
    }

    /// Runs a command as the operator; its exit code must be `code`.
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> CommandOutput {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("HOMELAB_DEPLOY_NATS_URL", &self.url)
            .env("HOMELAB_DEPLOY_NKEY_FILE", self.directory.join("operator.nkey"))
            .env("XDG_STATE_HOME", self.temporary.path().join("xdg"))
            .env("XDG_CACHE_HOME", self.temporary.path().join("cache"))
            .env("USER", "tester")
            .stdin(Stdio::null());
        run(&mut command, code)
    }

    /// The presence of a host.
    pub(crate) fn host(&self, name: &str) -> Value {
        let hosts = self.run(&["hosts", "--output", "json"], 0).json();
        let host = hosts.into_iter().find(|host| host["host"]["name"] == name);
        host.unwrap_or_else(|| panic!("no {name}"))["host"]["answer"].take()
    }

    /// The history of a host, newest first.
    pub(crate) fn history(&self, host: &str) -> Vec<Value> {
        let lines = self.run(&["history", host, "--output", "json"], 0).json();
        lines.into_iter().map(|mut line| line["answer"].take()).collect()
    }

    /// Sends a request for which there is no command, and returns the result.
    pub(crate) fn ask(&self, subject: &str, action: &str) -> Value {
        let wire = RawClient::with_key(&self.url, &self.directory.join("operator.nkey"));
        let reports = wire.subscribe(&format!("deploy.responses.{action}-it"));
        wire.publish(
            subject,
            &json!({"action": action, "reply_to": format!("deploy.responses.{action}-it")}),
        );
        reports.final_report()
    }

    /// Runs git in the repository of the hosts.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(self.directory.join("fleet.git"))
            .args(arguments)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
