//! Batches of JSON-RPC, which the version 2025-03-26 of the protocol has: each call is passed on by itself, and the answers
//! go out together.

use serde_json::{Value, json};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf,
    duplex, split,
};
use tokio::task::JoinHandle;

/// How much may wait between a client and the server, in bytes.
const BUFFER: usize = 64 << 10;
/// The one version that has batches.
const WITH_BATCHES: &str = "2025-03-26";
/// JSON-RPC: the message is no call.
const INVALID_REQUEST: i64 = -32600;

/// The streams of a session whose batches are taken apart and put together again.
pub(super) struct Streams {
    /// For the server.
    pub(super) inner: (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>),
    /// Ends when all that the server has written is with the client.
    pub(super) written: JoinHandle<io::Result<()>>,
}

pub(super) fn streams(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> Streams {
    let (ours, theirs) = duplex(BUFFER);
    let (answers, calls) = split(ours);
    let session = Arc::new(Mutex::new(Session::default()));
    let out = Arc::new(tokio::sync::Mutex::new(output));
    tokio::spawn(pass_in(input, calls, session.clone(), out.clone()));
    let written = tokio::spawn(pass_out(answers, session, out));
    Streams { inner: split(theirs), written }
}

/// What is known of a session.
#[derive(Default)]
struct Session {
    /// Known once the version was agreed on.
    has_batches: Option<bool>,
    batches: Vec<CallBatch>,
}

/// A batch that is not answered yet.
struct CallBatch {
    /// The calls without an answer.
    open: Vec<Value>,
    answers: Vec<Value>,
}

impl Session {
    /// The lines to pass on, and what can be answered at once.
    fn take_apart(&mut self, elements: Vec<Value>) -> (Vec<String>, Option<Value>) {
        let refused = |why: &str| json!({"jsonrpc": "2.0", "id": null, "error": {"code": INVALID_REQUEST, "message": why}});
        if self.has_batches != Some(true) {
            let why = format!("this version of the protocol has no batches, only {WITH_BATCHES} has");
            return (Vec::new(), Some(refused(&why)));
        }
        if elements.is_empty() {
            return (Vec::new(), Some(refused("an empty batch")));
        }
        let (calls, others): (Vec<_>, Vec<_>) = elements.into_iter().partition(Value::is_object);
        let answers: Vec<_> = others.iter().map(|_| refused("an element of a batch is no object")).collect();
        let is_call = |call: &&Value| call.get("method").is_some() && call.get("id").is_some();
        let open: Vec<_> = calls.iter().filter(is_call).map(|call| call["id"].clone()).collect();
        let lines = calls.iter().map(Value::to_string).collect();
        let batch = CallBatch { open, answers };
        if batch.open.is_empty() {
            return (lines, batch.whole());
        }
        self.batches.push(batch);
        (lines, None)
    }

    /// What goes out for a line of the server; nothing while a batch waits for others.
    fn put_together(&mut self, line: String) -> Option<String> {
        if self.batches.is_empty() && self.has_batches.is_some() {
            return Some(line);
        }
        let Ok(message) = serde_json::from_str::<Value>(&line) else { return Some(line) };
        if let Some(version) = message["result"]["protocolVersion"].as_str() {
            self.has_batches = Some(version == WITH_BATCHES);
        }
        if message.get("method").is_some() {
            return Some(line);
        }
        let id = message["id"].clone();
        let Some(at) = self.batches.iter().position(|batch| batch.open.contains(&id)) else {
            return Some(line);
        };
        self.batches[at].answers.push(message);
        self.close(at, &id)
    }

    /// A call that was cancelled is not answered.
    fn cancelled(&mut self, id: &Value) -> Option<String> {
        let at = self.batches.iter().position(|batch| batch.open.contains(id))?;
        self.close(at, id)
    }

    fn close(&mut self, at: usize, id: &Value) -> Option<String> {
        let batch = &mut self.batches[at];
        if let Some(place) = batch.open.iter().position(|open| open == id) {
            batch.open.remove(place);
        }
        if !batch.open.is_empty() {
            return None;
        }
        self.batches.remove(at).whole().map(|answers| answers.to_string())
    }
}

impl CallBatch {
    /// All answers; none if no call wants one.
    fn whole(self) -> Option<Value> {
        (!self.answers.is_empty()).then_some(Value::Array(self.answers))
    }
}

type Output<W> = Arc<tokio::sync::Mutex<W>>;

async fn pass_in(
    input: impl AsyncRead + Unpin,
    mut calls: impl AsyncWrite + Unpin,
    session: Arc<Mutex<Session>>,
    out: Output<impl AsyncWrite + Unpin>,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line).await? > 0 {
        let is_batch = line.trim_ascii_start().starts_with(b"[");
        match serde_json::from_slice(&line) {
            Ok(Value::Array(elements)) if is_batch => {
                let (lines, answer) = locked(&session).take_apart(elements);
                if let Some(answer) = answer {
                    write_line(&out, &answer.to_string()).await?;
                }
                for line in lines {
                    calls.write_all(format!("{line}\n").as_bytes()).await?;
                }
            }
            _ => {
                let cancelled = cancelled(&line).and_then(|id| locked(&session).cancelled(&id));
                if let Some(answers) = cancelled {
                    write_line(&out, &answers).await?;
                }
                calls.write_all(&line).await?;
            }
        }
        line.clear();
    }
    calls.shutdown().await
}

async fn pass_out(
    answers: impl AsyncRead + Unpin,
    session: Arc<Mutex<Session>>,
    out: Output<impl AsyncWrite + Unpin>,
) -> io::Result<()> {
    let mut answers = BufReader::new(answers).lines();
    while let Some(line) = answers.next_line().await? {
        let line = locked(&session).put_together(line);
        if let Some(line) = line {
            write_line(&out, &line).await?;
        }
    }
    Ok(())
}

async fn write_line(out: &Output<impl AsyncWrite + Unpin>, line: &str) -> io::Result<()> {
    let mut out = out.lock().await;
    out.write_all(format!("{line}\n").as_bytes()).await?;
    out.flush().await
}

/// The call that a line cancels.
fn cancelled(line: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(line).ok()?;
    (message["method"] == "notifications/cancelled").then(|| message["params"]["requestId"].clone())
}

fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
