//! A real listener, run from the real binary, with a rebuild program that the test controls.

use super::{DEADLINE, Gate, NatsServer, TestDir, binary, kill_tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// The configuration of a listener that has not started.
pub struct HostBuilder {
    dir: TestDir,
    command: Command,
    /// The flags that may occur only once.
    flags: BTreeMap<&'static str, String>,
    script: String,
    gates: HashMap<String, Gate>,
}

/// A running listener. On drop, every process that it has started is killed, even those that outlive the listener.
pub struct Host {
    dir: TestDir,
    command: Command,
    child: Child,
    lines: Receiver<Value>,
    /// The log lines that have already been read.
    seen: Vec<Value>,
    gates: HashMap<String, Gate>,
}

impl HostBuilder {
    /// Creates a listener of `name` with the key that the NATS server knows for it. Its flake is a directory without
    /// revisions.
    pub fn new(nats: &NatsServer, name: &str, tier: &str, role: &str) -> Self {
        let dir = TestDir::new();
        let here = dir.path().display();
        let flags = [
            ("--hostname", name.to_owned()),
            ("--tier", tier.to_owned()),
            ("--role", role.to_owned()),
            ("--nats-url", nats.url()),
            ("--nkey-file", nats.key(name).display().to_string()),
            ("--state-dir", format!("{here}/state")),
            ("--rebuild-command", format!("{here}/rebuild")),
            ("--flake-url", format!("path:{here}")),
            // The tests must not depend on the services and the free disk space of this machine.
            ("--root", format!("{here}/root")),
        ];
        Self::of("listener", dir, flags.into())
    }

    /// Creates a builder with this configuration and the key that the NATS server knows for it.
    pub fn builder(nats: &NatsServer, config: &str) -> Self {
        let dir = TestDir::new();
        let here = dir.path().display();
        let flags = [
            ("--config", format!("{here}/builder.toml")),
            ("--nats-url", nats.url()),
            ("--nkey-file", nats.key("builder").display().to_string()),
            ("--state-dir", format!("{here}/state")),
        ];
        fs::write(dir.path().join("builder.toml"), config).unwrap();
        // A builder that is killed leaves the directory of its sandbox there.
        let temporary = here.to_string();
        Self::of("builder", dir, flags.into()).env("TMPDIR", &temporary)
    }

    /// Creates a `notify` with this configuration and the key of a viewer.
    pub fn notify(nats: &NatsServer, config: &str) -> Self {
        let dir = TestDir::new();
        let here = dir.path().display();
        let flags = [
            ("--config", format!("{here}/notify.toml")),
            ("--nats-url", nats.url()),
            ("--nkey-file", nats.key("viewer").display().to_string()),
            ("--state-dir", format!("{here}/state")),
        ];
        fs::write(dir.path().join("notify.toml"), config).unwrap();
        Self::of("notify", dir, flags.into())
    }

    fn of(service: &str, dir: TestDir, flags: BTreeMap<&'static str, String>) -> Self {
        let mut command = Command::new(binary());
        command.arg(service);
        let script = "echo done".to_owned();
        Self { dir, command, flags, script, gates: HashMap::new() }
    }

    /// The directory of the host.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Changes the value of a flag that is always set.
    pub fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.insert(name, value.to_owned());
        self
    }

    /// Removes a flag that is set by default.
    pub fn without(mut self, name: &str) -> Self {
        self.flags.remove(name);
        self
    }

    /// Sets the body of the rebuild program, a shell script; `$DIR` is its own directory.
    pub fn script(mut self, script: &str) -> Self {
        script.clone_into(&mut self.script);
        self
    }

    /// Adds a fifo `$DIR/NAME` at which the program waits with `read _ < $DIR/NAME` until [`Host::open`].
    pub fn gate(mut self, name: &str) -> Self {
        let gate = Gate::at(self.dir.path().join(name));
        self.gates.insert(name.to_owned(), gate);
        self
    }

    /// Sets the flake.
    pub fn flake(self, url: &str) -> Self {
        self.flag("--flake-url", url)
    }

    /// Adds flags.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.command.args(args);
        self
    }

    /// Runs the service as the last arguments of another program.
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

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts the host and waits until it is connected.
    pub fn start(self) -> Host {
        let mut host = self.launch();
        host.wait_for_log("connected");
        host
    }

    /// Starts the host without waiting.
    pub fn launch(mut self) -> Host {
        let program = self.dir.path().join("rebuild");
        fs::write(&program, format!("#!/bin/sh\nDIR={}\n{}\n", self.dir.path().display(), self.script))
            .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, value) in &self.flags {
            self.command.args([name, value.as_str()]);
        }
        let (child, lines) = launch(&mut self.command);
        Host { dir: self.dir, command: self.command, child, lines, seen: Vec::new(), gates: self.gates }
    }
}

impl Host {
    /// The directory that the rebuild program knows as `$DIR`.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in that directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Lets the program pass a gate once.
    pub fn open(&self, gate: &str) {
        self.gates[gate].pass();
    }

    /// Waits until the program has written an empty line to a gate.
    pub fn wait_for_line(&self, gate: &str) {
        self.gates[gate].wait_for_line();
    }

    /// Returns the number in a file, as soon as the program has written it.
    pub fn pid(&self, file: &str) -> u32 {
        let read = || fs::read_to_string(self.file(file)).ok()?.strip_suffix('\n')?.parse().ok();
        super::eventually("a number in a file", read)
    }

    /// Waits for a log line with this `msg`.
    pub fn wait_for_log(&mut self, message: &str) -> Value {
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

    /// Returns the last log line with this `msg` since the start, waiting for it if necessary.
    pub fn last_log(&mut self, message: &str) -> Value {
        let seen = self.seen.iter().rev().find(|line| line["msg"] == message).cloned();
        seen.unwrap_or_else(|| self.wait_for_log(message))
    }

    /// Returns the rest of the log, until the exit.
    pub fn rest_of_log(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.lines.recv_timeout(DEADLINE).ok()).collect()
    }

    /// Sends SIGTERM, as systemd does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process id.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process exits.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        super::eventually("the exit of the listener", || self.child.try_wait().unwrap())
    }

    /// Adds flags for the next start.
    pub fn add_args(&mut self, args: &[&str]) {
        self.command.args(args);
    }

    /// Starts the host again with the same state, and waits until it is connected.
    pub fn restart(&mut self) {
        self.relaunch();
        self.wait_for_log("connected");
    }

    /// Starts the host again without waiting.
    pub fn relaunch(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        (self.child, self.lines) = launch(&mut self.command);
        self.seen.clear();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        kill_tree(&mut self.child);
    }
}

fn launch(command: &mut Command) -> (Child, Receiver<Value>) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (into, lines) = channel();
    std::thread::spawn(move || {
        for line in stderr.lines() {
            let Ok(line) = line else { return };
            // A line that is not JSON is an error for people; it is kept as a string.
            let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if into.send(value).is_err() {
                return;
            }
        }
    });
    (child, lines)
}
