//! A handwritten MCP client. In every test, all output of the server must be JSON-RPC.

use crate::common::{DEADLINE, NatsServer, eventually, operator};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// Protocol version that most tests use.
pub(crate) const PROTOCOL: &str = "2025-11-25";

/// A session with a server.
pub(crate) struct Session {
    server: Child,
    input: Option<ChildStdin>,
    output: Receiver<Value>,
    log: Receiver<Value>,
    next: u64,
    /// All messages in the order of their arrival.
    pub(crate) messages: Vec<Value>,
    /// Messages that no test has consumed yet.
    unread: Vec<Value>,
}

/// The server with the key `mcp`.
pub(crate) fn server(nats: &NatsServer) -> Command {
    let mut command = operator(nats, "mcp");
    command.arg("mcp");
    command
}

/// A server with the key `mcp` and the admin's key for `deploy_admin`.
pub(crate) fn admin_server(nats: &NatsServer) -> Command {
    let mut command = server(nats);
    command.arg("--enable-admin").arg("--admin-nkey-file").arg(nats.key("admin"));
    command
}

impl Session {
    /// Starts a server and sends nothing to it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let input = server.stdin.take();
        let output = lines(server.stdout.take().unwrap(), |line| {
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            // A batch is a list of messages.
            let is_ours = |message: &Value| message["jsonrpc"] == "2.0";
            assert!(message.as_array().map_or(is_ours(&message), |all| all.iter().all(is_ours)), "{line}");
            message
        });
        let log = lines(server.stderr.take().unwrap(), |line| {
            serde_json::from_str(&line).unwrap_or(Value::String(line))
        });
        Self { server, input, output, log, next: 0, messages: Vec::new(), unread: Vec::new() }
    }

    /// A session with the key `mcp`.
    pub(crate) fn open(nats: &NatsServer) -> Self {
        Self::with(&mut server(nats))
    }

    /// A session that speaks [`PROTOCOL`].
    pub(crate) fn with(command: &mut Command) -> Self {
        let mut session = Self::start(command);
        let greeting = session.greet(PROTOCOL, &json!({}));
        assert_eq!(greeting["protocolVersion"], PROTOCOL);
        session
    }

    /// Starts the session with a protocol version and returns the server's information.
    pub(crate) fn greet(&mut self, version: &str, capabilities: &Value) -> Value {
        let client = json!({"name": "by-hand", "version": "1.0"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": client});
        let greeting = self.request("initialize", &params);
        self.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string());
        greeting["result"].clone()
    }

    /// Writes a line. The write fails silently if the server has ended.
    pub(crate) fn write(&mut self, line: &str) {
        let _ = writeln!(self.input.as_mut().expect("open input"), "{line}");
    }

    /// Sends a request and returns its id.
    pub(crate) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        self.write(&request.to_string());
        self.next
    }

    /// Sends a tool call and returns its id.
    pub(crate) fn begin(&mut self, tool: &str, arguments: &Value) -> u64 {
        self.send("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The response to a request, with `result` or `error`.
    pub(crate) fn answer(&mut self, id: u64) -> Value {
        self.message(|message| message["id"] == id && message.get("method").is_none())
    }

    /// The first matching message, already received or not. Other messages stay available.
    pub(crate) fn message(&mut self, matches: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&matches) {
            return self.unread.remove(at);
        }
        loop {
            match self.receive() {
                Ok(message) if matches(&message) => return message,
                Ok(message) => self.unread.push(message),
                Err(RecvTimeoutError::Timeout) => panic!("no matching message; others: {:#?}", self.unread),
                Err(RecvTimeoutError::Disconnected) => {
                    let log: Vec<_> = self.log.try_iter().map(|line| line.to_string()).collect();
                    panic!("the server ended; others: {:#?}\n{}", self.unread, log.join("\n"))
                }
            }
        }
    }

    fn receive(&mut self) -> Result<Value, RecvTimeoutError> {
        let message = self.output.recv_timeout(DEADLINE)?;
        self.messages.push(message.clone());
        Ok(message)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send(method, params);
        self.answer(id)
    }

    /// Calls a tool and waits for its result.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> CallResult {
        let id = self.begin(tool, arguments);
        self.called(id)
    }

    /// Waits for the result of a call.
    pub(crate) fn called(&mut self, id: u64) -> CallResult {
        let answer = self.answer(id);
        assert!(answer["result"].is_object(), "{answer:#}");
        CallResult(answer["result"].clone())
    }

    /// Waits until the server is connected.
    pub(crate) fn connected(&mut self) {
        self.call("list_hosts", &json!({})).done();
    }

    /// The next log line about a call that changes something.
    pub(crate) fn audit_line(&self) -> Value {
        loop {
            let line = self.log.recv_timeout(DEADLINE).expect("an audit line");
            if line["msg"] == "tool called" {
                return line;
            }
        }
    }

    /// All remaining log lines, after the server has ended.
    pub(crate) fn remaining_log(&self) -> Vec<Value> {
        std::iter::from_fn(|| self.log.recv_timeout(DEADLINE).ok()).collect()
    }

    /// All remaining messages, after the server has ended.
    pub(crate) fn remaining_messages(&mut self) -> Vec<Value> {
        let mut rest = std::mem::take(&mut self.unread);
        rest.extend(std::iter::from_fn(|| self.receive().ok()));
        rest
    }

    /// Closes the input, as a client that exits.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.server.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until the server has ended.
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        eventually("the end of the server", || self.server.try_wait().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The code in a refusal.
pub(crate) fn code_of(refusal: &str) -> String {
    let code = refusal.split_once("confirm: \"").and_then(|(_, rest)| rest.split_once('"'));
    code.unwrap_or_else(|| panic!("no code in {refusal}")).0.to_owned()
}

/// Result of a tool call.
#[derive(Debug)]
pub(crate) struct CallResult(pub(crate) Value);

impl CallResult {
    /// Its first text.
    pub(crate) fn text(&self) -> &str {
        self.0["content"][0]["text"].as_str().unwrap()
    }

    /// All its texts.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.0["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect()
    }

    /// The structure of a successful result.
    pub(crate) fn done(&self) -> &Value {
        assert_eq!(self.0["isError"], false, "{:#}", self.0);
        &self.0["structuredContent"]
    }

    /// The structure of a result that is marked as an error.
    pub(crate) fn failed(&self) -> &Value {
        assert_eq!(self.0["isError"], true, "{:#}", self.0);
        &self.0["structuredContent"]
    }

    /// Asserts that the result is an error without a structure, and that its text contains each of `texts`.
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
