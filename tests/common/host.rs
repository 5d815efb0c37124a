//! A real listener on the real binary, with a rebuild program that the test steers.

use super::{Broker, DEADLINE, binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use tempfile::TempDir;

/// A listener to be.
pub struct HostBuilder {
    folder: TempDir,
    command: Command,
    script: String,
    flake: Option<String>,
}

/// A running listener.
pub struct Host {
    folder: TempDir,
    command: Command,
    child: Child,
    lines: Receiver<Value>,
}

impl HostBuilder {
    /// A listener of `name` with the key that the broker knows for it.
    pub fn new(broker: &Broker, name: &str, tier: &str, role: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(binary());
        command.args(["listener", "--hostname", name, "--tier", tier, "--role", role]);
        command.args(["--nats-url", &broker.url()]).arg("--nkey-file").arg(broker.key(name));
        command.arg("--state-dir").arg(folder.path().join("state"));
        command.arg("--rebuild-command").arg(folder.path().join("rebuild"));
        Self { folder, command, script: "echo done".to_owned(), flake: None }
    }

    /// The body of the rebuild program, a shell script; `$DIR` is a folder of its own.
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// The flake; without it a folder, of which there is no revision.
    pub fn flake(mut self, url: &str) -> Self {
        self.flake = Some(url.to_owned());
        self
    }

    /// Further flags.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// A further environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and waits until it is connected.
    pub fn start(self) -> Host {
        let mut host = self.launch();
        host.logged("connected");
        host
    }

    /// Starts it and does not wait.
    pub fn launch(mut self) -> Host {
        let program = self.folder.path().join("rebuild");
        fs::write(&program, format!("#!/bin/sh\nDIR={}\n{}\n", self.folder.path().display(), self.script))
            .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let flake = self.flake.take().unwrap_or_else(|| format!("path:{}", self.folder.path().display()));
        self.command.args(["--flake-url", &flake]);
        let (child, lines) = launch(&mut self.command);
        Host { folder: self.folder, command: self.command, child, lines }
    }
}

impl Host {
    /// The folder that the rebuild program knows as `$DIR`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file there.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for a log line with this `msg`.
    pub fn logged(&mut self, message: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) if line["msg"] == message => return line,
                Ok(line) => seen.push(line.to_string()),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no log line {message:?}; seen:\n{}", seen.join("\n"))
                }
            }
        }
    }

    /// Everything it logged until it ended.
    pub fn rest_of_log(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.lines.recv_timeout(DEADLINE).ok()).collect()
    }

    /// Asks it to stop, as systemd does.
    pub fn terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        super::eventually("the listener ending", || self.child.try_wait().unwrap())
    }

    /// Starts it once more, with the same state.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.lines) = launch(&mut self.command);
        self.logged("connected");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(command: &mut Command) -> (Child, Receiver<Value>) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (into, lines) = channel();
    std::thread::spawn(move || {
        for line in stderr.lines() {
            let Ok(line) = line else { return };
            // What is no JSON is an error for a person; kept as text.
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if into.send(value).is_err() {
                return;
            }
        }
    });
    (child, lines)
}
