//! A demo that is open on a terminal, and commands of its operator beside it.

use crate::common::{Ended, Terminal, Wire, binary, lines, run};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Keys of a terminal.
pub(crate) const BACK_TAB: &str = "\u{1b}[Z";
pub(crate) const ESC: &str = "\u{1b}";
pub(crate) const LEFT: &str = "\u{1b}[D";
pub(crate) const RIGHT: &str = "\u{1b}[C";

/// How many lines a screen has at most.
const MOST_LINES: usize = 80;

/// An open demo; everything of it ends with its owner.
pub(crate) struct Stage {
    pub(crate) console: Terminal,
    pub(crate) temporary: TempDir,
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
}

impl Stage {
    /// Opens a demo and waits until each of its hosts is there.
    pub(crate) fn open(hosts: usize) -> Self {
        Self::open_with(hosts, |_| {})
    }

    /// The same with a change to its command.
    pub(crate) fn open_with(hosts: usize, change: impl FnOnce(&mut Command)) -> Self {
        Self::sized(hosts, (120, 40), change)
    }

    /// The same in a terminal of so many columns and lines.
    pub(crate) fn sized(
        hosts: usize,
        (columns, lines): (u16, u16),
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let temporary = TempDir::new().unwrap();
        let mut command = Command::new(binary());
        command.args(["demo", "--hosts", &hosts.to_string()]).env("TMPDIR", temporary.path());
        command.env("LANG", "C.UTF-8").env_remove("LC_ALL").env_remove("LC_CTYPE").env_remove("NO_COLOR");
        change(&mut command);
        let mut console = Terminal::sized(&command, columns, lines);
        let url = console.wrote("the broker listens on ");
        let folder = std::fs::read_dir(temporary.path()).unwrap().next().unwrap().unwrap().path();
        console.line(&[&format!("● {hosts} online")]);
        Self { console, temporary, folder, url }
    }

    /// Waits until the row of a host shows all of `texts`.
    pub(crate) fn row(&mut self, host: &str, texts: &[&str]) {
        let name = |line: &str| line.chars().skip(4).take_while(|c| *c != ' ').collect::<String>();
        let wanted = |line: &String| name(line) == host && texts.iter().all(|text| line.contains(text));
        let what = format!("row of {host} with {texts:?}");
        self.console.until(&what, |screen| lines(screen).iter().any(wanted));
    }

    /// Presses `j` until the selected line shows all of `texts`.
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

    /// Runs a command as its operator, which must end with `code`.
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> Ended {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("HOMELAB_DEPLOY_NATS_URL", &self.url)
            .env("HOMELAB_DEPLOY_NKEY_FILE", self.folder.join("operator.nkey"))
            .env("XDG_STATE_HOME", self.temporary.path().join("xdg"))
            .env("USER", "tester")
            .stdin(Stdio::null());
        run(&mut command, code)
    }

    /// What a host tells of itself.
    pub(crate) fn host(&self, name: &str) -> Value {
        let told = self.run(&["hosts", "--output", "json"], 0).json();
        let host = told.into_iter().find(|host| host["host"]["name"] == name);
        host.unwrap_or_else(|| panic!("no {name}"))["host"]["answer"].take()
    }

    /// The history of a host, the newest first.
    pub(crate) fn history(&self, host: &str) -> Vec<Value> {
        let lines = self.run(&["history", host, "--output", "json"], 0).json();
        lines.into_iter().map(|mut line| line["answer"].take()).collect()
    }

    /// Asks a host for something no command asks for, and gives its verdict.
    pub(crate) fn ask(&self, subject: &str, action: &str) -> Value {
        let wire = Wire::with_key(&self.url, &self.folder.join("operator.nkey"));
        let reports = wire.listen(&format!("deploy.responses.{action}-it"));
        wire.say(subject, &json!({"action": action, "reply_to": format!("deploy.responses.{action}-it")}));
        reports.verdict()
    }

    /// Runs git in the hosts' repository.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output =
            Command::new("git").arg("--git-dir").arg(self.folder.join("fleet.git")).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
