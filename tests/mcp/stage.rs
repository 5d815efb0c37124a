//! A client written by hand. Whatever the server writes to standard output must be JSON-RPC, in every test.

use crate::common::{Broker, DEADLINE, eventually, operator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// The protocol that most tests speak.
pub(crate) const PROTOCOL: &str = "2025-11-25";

/// A session with a server.
pub(crate) struct Session {
    server: Child,
    input: Option<ChildStdin>,
    output: Receiver<Value>,
    log: Receiver<Value>,
    next: u64,
    /// All messages, as they came.
    pub(crate) heard: Vec<Value>,
    /// Those that nobody has looked at yet.
    kept: Vec<Value>,
}

/// The server with the key `mcp`.
pub(crate) fn server(broker: &Broker) -> Command {
    let mut command = operator(broker, "mcp");
    command.arg("mcp");
    command
}

/// The same, with the admin's key for `deploy_admin`.
pub(crate) fn admin_server(broker: &Broker) -> Command {
    let mut command = server(broker);
    command.arg("--enable-admin").arg("--admin-nkey-file").arg(broker.key("admin"));
    command
}

impl Session {
    /// Starts a server and says nothing to it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let input = server.stdin.take();
        let output = lines(server.stdout.take().unwrap(), |line| {
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            // A batch is a list of them.
            let is_ours = |message: &Value| message["jsonrpc"] == "2.0";
            assert!(message.as_array().map_or(is_ours(&message), |all| all.iter().all(is_ours)), "{line}");
            message
        });
        let log = lines(server.stderr.take().unwrap(), |line| {
            serde_json::from_str(&line).unwrap_or(Value::String(line))
        });
        Self { server, input, output, log, next: 0, heard: Vec::new(), kept: Vec::new() }
    }

    /// A session with the key `mcp`.
    pub(crate) fn open(broker: &Broker) -> Self {
        Self::of(&mut server(broker))
    }

    /// A session that speaks [`PROTOCOL`].
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut session = Self::start(command);
        let greeting = session.greet(PROTOCOL, &json!({}));
        assert_eq!(greeting["protocolVersion"], PROTOCOL);
        session
    }

    /// Begins the session in a version of the protocol; gives what the server says of itself.
    pub(crate) fn greet(&mut self, version: &str, capabilities: &Value) -> Value {
        let client = json!({"name": "by-hand", "version": "1.0"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        let greeting = self.ask("initialize", &params);
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        greeting["result"].clone()
    }

    /// Writes a line. A server that has ended hears nothing.
    pub(crate) fn write(&mut self, line: &str) {
        let _ = writeln!(self.input.as_mut().expect("open input"), "{line}");
    }

    /// Sends a request; gives its number.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        self.write(&request.to_string());
        self.next
    }

    /// Sends a call; gives its number.
    pub(crate) fn begin(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.send("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The answer to a request: with `result` or `error`.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.message(|message| message["id"] == id && message.get("method").is_none())
    }

    /// The first message that is wanted, read earlier or yet to come; others are kept.
    pub(crate) fn message(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            match self.hear() {
                Ok(message) if wanted(&message) => return message,
                Ok(message) => self.kept.push(message),
                Err(RecvTimeoutError::Timeout) => panic!("no such message; others: {:#?}", self.kept),
                Err(RecvTimeoutError::Disconnected) => {
                    let log: Vec<_> = self.log.try_iter().map(|line| line.to_string()).collect();
                    panic!("it ended; others: {:#?}\n{}", self.kept, log.join("\n"))
                }
            }
        }
    }

    fn hear(&mut self) -> Result<Value, RecvTimeoutError> {
        let message = self.output.recv_timeout(DEADLINE)?;
        self.heard.push(message.clone());
        Ok(message)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool and waits for its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Answered {
        let id = self.begin(tool, arguments);
        self.called(id)
    }

    /// The result of a call.
    pub(crate) fn called(&mut self, id: u64) -> Answered {
        let answer = self.answer(id);
        assert!(answer["result"].is_object(), "{answer:#}");
        Answered(answer["result"].clone())
    }

    /// Waits until the server has the link.
    pub(crate) fn connected(&mut self) {
        self.call("list_hosts", &json!({})).done();
    }

    /// The next line of the log about a call that deploys.
    pub(crate) fn audited(&self) -> Value {
        loop {
            let line = self.log.recv_timeout(DEADLINE).expect("a line about a call");
            if line["msg"] == "called to deploy" {
                return line;
            }
        }
    }

    /// All further lines of the log, once the server has ended.
    pub(crate) fn rest_of_log(&self) -> Vec<Value> {
        std::iter::from_fn(|| self.log.recv_timeout(DEADLINE).ok()).collect()
    }

    /// All further messages, once the server has ended.
    pub(crate) fn rest(&mut self) -> Vec<Value> {
        let mut rest = std::mem::take(&mut self.kept);
        rest.extend(std::iter::from_fn(|| self.hear().ok()));
        rest
    }

    /// Goes away without a word.
    pub(crate) fn leave(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits for the end of the server.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the server ending", || self.server.try_wait().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The code that a refusal names.
pub(crate) fn code_of(refusal: &str) -> String {
    let code = refusal.split_once("confirm: \"").and_then(|(_, rest)| rest.split_once('"'));
    code.unwrap_or_else(|| panic!("no code in {refusal}")).0.to_owned()
}

/// The result of a call.
#[derive(Debug)]
pub(crate) struct Answered(pub(crate) Value);

impl Answered {
    /// Its text.
    pub(crate) fn text(&self) -> &str {
        self.0["content"][0]["text"].as_str().unwrap()
    }

    /// All its texts.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.0["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect()
    }

    /// Its structure, where it went well.
    pub(crate) fn done(&self) -> &Value {
        assert_eq!(self.0["isError"], false, "{:#}", self.0);
        &self.0["structuredContent"]
    }

    /// Its structure, where it tells of a failure.
    pub(crate) fn failed(&self) -> &Value {
        assert_eq!(self.0["isError"], true, "{:#}", self.0);
        &self.0["structuredContent"]
    }

    /// It must have brought nothing, and its text must hold each of these.
    pub(crate) fn refused(&self, texts: &[&str]) {
        assert!(self.failed().is_null(), "{:#}", self.0);
        for text in texts {
            assert!(self.text().contains(text), "no {text:?} in {:?}", self.text());
        }
    }
}

fn lines(pipe: impl Read + Send + 'static, read: fn(String) -> Value) -> Receiver<Value> {
    let (into, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8(line.unwrap()).expect("UTF-8");
            if into.send(read(line)).is_err() {
                return;
            }
        }
    });
    lines
}
