//! A real listener on the real binary, with a rebuild program that the test steers.

use super::{Broker, DEADLINE, Gate, binary};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
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
    /// Flags that are given once.
    flags: BTreeMap<&'static str, String>,
    script: String,
    gates: HashMap<String, Gate>,
}

/// A running listener.
pub struct Host {
    folder: TempDir,
    command: Command,
    child: Child,
    lines: Receiver<Value>,
    /// What it logged and somebody has looked at.
    seen: Vec<Value>,
    /// Closed last: whoever still waits at one then reads its end and ends too.
    gates: HashMap<String, Gate>,
}

impl HostBuilder {
    /// A listener of `name` with the key that the broker knows for it. Its flake is a folder, which has no revisions.
    pub fn new(broker: &Broker, name: &str, tier: &str, role: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let here = folder.path().display();
        let flags = [
            ("--hostname", name.to_owned()),
            ("--tier", tier.to_owned()),
            ("--role", role.to_owned()),
            ("--nats-url", broker.url()),
            ("--nkey-file", broker.key(name).display().to_string()),
            ("--state-dir", format!("{here}/state")),
            ("--rebuild-command", format!("{here}/rebuild")),
            ("--flake-url", format!("path:{here}")),
            // What runs on this machine, and how much room it has, is nothing to the tests.
            ("--root", format!("{here}/root")),
        ];
        Self::of("listener", folder, flags.into())
    }

    /// A builder with the key that the broker knows for it, and with this configuration.
    pub fn builder(broker: &Broker, config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let here = folder.path().display();
        let flags = [
            ("--config", format!("{here}/builder.toml")),
            ("--nats-url", broker.url()),
            ("--nkey-file", broker.key("builder").display().to_string()),
            ("--state-dir", format!("{here}/state")),
        ];
        fs::write(folder.path().join("builder.toml"), config).unwrap();
        // A builder that is killed leaves the directory of its sandbox there.
        let temporary = here.to_string();
        Self::of("builder", folder, flags.into()).env("TMPDIR", &temporary)
    }

    fn of(service: &str, folder: TempDir, flags: BTreeMap<&'static str, String>) -> Self {
        let mut command = Command::new(binary());
        command.arg(service);
        let script = "echo done".to_owned();
        Self { folder, command, flags, script, gates: HashMap::new() }
    }

    /// The folder of the host.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another value for a flag that is always given.
    pub fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.insert(name, value.to_owned());
        self
    }

    /// A host without a flag that is else always given.
    pub fn without(mut self, name: &str) -> Self {
        self.flags.remove(name);
        self
    }

    /// The body of the rebuild program, a shell script; `$DIR` is a folder of its own.
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// A fifo `$DIR/NAME` at which the program waits by `read _ < $DIR/NAME` until [`Host::open`].
    pub fn gate(mut self, name: &str) -> Self {
        let gate = Gate::at(self.folder.path().join(name));
        self.gates.insert(name.to_owned(), gate);
        self
    }

    /// The flake.
    pub fn flake(self, url: &str) -> Self {
        self.flag("--flake-url", url)
    }

    /// Further flags.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// The service as the last arguments of another program, which ends with its name.
    pub fn through(mut self, program: &[&str]) -> Self {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        self.command = command;
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
        for (name, value) in &self.flags {
            self.command.args([name, value.as_str()]);
        }
        let (child, lines) = launch(&mut self.command);
        Host { folder: self.folder, command: self.command, child, lines, seen: Vec::new(), gates: self.gates }
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

    /// Lets the program pass a gate once.
    pub fn open(&self, gate: &str) {
        self.gates[gate].pass();
    }

    /// Waits until the program has written an empty line to a gate.
    pub fn told(&self, gate: &str) {
        self.gates[gate].told();
    }

    /// The number that the program wrote to a file, once it has.
    pub fn pid(&self, file: &str) -> u32 {
        let read = || fs::read_to_string(self.file(file)).ok()?.strip_suffix('\n')?.parse().ok();
        super::eventually("a number in a file", read)
    }

    /// Waits for a log line with this `msg`.
    pub fn logged(&mut self, message: &str) -> Value {
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line["msg"] == message {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let seen: Vec<_> = self.seen.iter().map(Value::to_string).collect();
                    panic!("no log line {message:?}; seen:\n{}", seen.join("\n"))
                }
            }
        }
    }

    /// The last log line with this `msg` since it was started, now or when it comes.
    pub fn has_logged(&mut self, message: &str) -> Value {
        let seen = self.seen.iter().rev().find(|line| line["msg"] == message).cloned();
        seen.unwrap_or_else(|| self.logged(message))
    }

    /// Everything it logged until it ended.
    pub fn rest_of_log(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.lines.recv_timeout(DEADLINE).ok()).collect()
    }

    /// Asks it to stop, as systemd does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills it without a word.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        super::eventually("the listener ending", || self.child.try_wait().unwrap())
    }

    /// Further flags for the next start.
    pub fn add_args(&mut self, args: &[&str]) {
        self.command.args(args);
    }

    /// Starts it once more, with the same state.
    pub fn restart(&mut self) {
        self.relaunch();
        self.logged("connected");
    }

    /// The same without waiting.
    pub fn relaunch(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.lines) = launch(&mut self.command);
        self.seen.clear();
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
