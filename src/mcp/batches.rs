//! What clients send, before the server reads it. JSON-RPC batches exist only in protocol version 2025-03-26: each call
//! is forwarded alone, and the responses are sent together.

use serde_json::{Map, Value, json};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader,
    DuplexStream, ReadHalf, WriteHalf, duplex, split,
};
use tokio::task::JoinHandle;

/// Buffer size between client and server, in bytes.
const BUFFER: usize = 64 << 10;
/// The only protocol version with batches.
const WITH_BATCHES: &str = "2025-03-26";
/// Maximum length of a message, in bytes.
const MAX_MESSAGE: usize = 16 << 20;
/// JSON-RPC error codes for a line that is not JSON, and for an invalid request.
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;

/// The streams of a session, between which batches are split and reassembled.
pub(super) struct BatchStreams {
    /// The server's side.
    pub(super) inner: (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>),
    /// Ends when all output of the server has been written to the client.
    pub(super) written: JoinHandle<io::Result<()>>,
}

pub(super) fn streams(
    input: impl AsyncRead + Unpin + Send + 'static,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> BatchStreams {
    let (ours, theirs) = duplex(BUFFER);
    let (answers, calls) = split(ours);
    let session = Arc::new(Mutex::new(BatchSession::default()));
    let out = Arc::new(tokio::sync::Mutex::new(output));
    tokio::spawn(forward_input(input, calls, session.clone(), out.clone()));
    let written = tokio::spawn(forward_output(answers, session, out));
    BatchStreams { inner: split(theirs), written }
}

/// State of a session.
#[derive(Default)]
struct BatchSession {
    /// Whether the negotiated version has batches; `None` before the negotiation.
    has_batches: Option<bool>,
    batches: Vec<CallBatch>,
}

/// A batch without a complete response.
struct CallBatch {
    /// Ids of the calls without a response.
    open: Vec<Value>,
    answers: Vec<Value>,
}

impl BatchSession {
    /// Returns the lines to forward, and the response that can be sent at once.
    fn split_batch(&mut self, elements: Vec<Value>) -> (Vec<String>, Option<Value>) {
        if self.has_batches != Some(true) {
            let why = format!("this protocol version does not support batches, only {WITH_BATCHES} does");
            return (Vec::new(), Some(refused(&why)));
        }
        if elements.is_empty() {
            return (Vec::new(), Some(refused("empty batch")));
        }
        let (calls, others): (Vec<_>, Vec<_>) = elements.into_iter().partition(Value::is_object);
        let answers: Vec<_> =
            others.iter().map(|_| refused("invalid batch element: expected an object")).collect();
        let is_call = |call: &&Value| call.get("method").is_some() && call.get("id").is_some();
        let open: Vec<_> = calls.iter().filter(is_call).map(|call| call["id"].clone()).collect();
        let lines = calls.iter().map(Value::to_string).collect();
        let batch = CallBatch { open, answers };
        if batch.open.is_empty() {
            return (lines, batch.into_answers());
        }
        self.batches.push(batch);
        (lines, None)
    }

    /// The output for a line of the server; `None` while its batch waits for other responses.
    fn collect_answer(&mut self, line: String) -> Option<String> {
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

    /// Handles a cancelled call, which gets no response.
    fn cancel(&mut self, id: &Value) -> Option<String> {
        let at = self.batches.iter().position(|batch| batch.open.contains(id))?;
        self.close(at, id)
    }

    fn close(&mut self, at: usize, id: &Value) -> Option<String> {
        let batch = &mut self.batches[at];
        if let Some(index) = batch.open.iter().position(|open| open == id) {
            batch.open.remove(index);
        }
        if !batch.open.is_empty() {
            return None;
        }
        self.batches.remove(at).into_answers().map(|answers| answers.to_string())
    }
}

impl CallBatch {
    /// All responses; `None` if no call expects one.
    fn into_answers(self) -> Option<Value> {
        (!self.answers.is_empty()).then_some(Value::Array(self.answers))
    }
}

type SharedOutput<W> = Arc<tokio::sync::Mutex<W>>;

async fn forward_input(
    input: impl AsyncRead + Unpin,
    mut calls: impl AsyncWrite + Unpin,
    session: Arc<Mutex<BatchSession>>,
    out: SharedOutput<impl AsyncWrite + Unpin>,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    while (&mut input).take(MAX_MESSAGE as u64).read_until(b'\n', &mut line).await? > 0 {
        if line.len() == MAX_MESSAGE && !line.ends_with(b"\n") {
            line = Vec::new();
            skip_line(&mut input).await?;
            let why = format!("the message is longer than {} MiB", MAX_MESSAGE >> 20);
            write_line(&out, &refused(&why).to_string()).await?;
            continue;
        }
        let is_batch = line.trim_ascii_start().starts_with(b"[");
        match serde_json::from_slice(&line) {
            Ok(Value::Array(elements)) if is_batch => {
                let (lines, answer) = lock(&session).split_batch(elements);
                if let Some(answer) = answer {
                    write_line(&out, &answer.to_string()).await?;
                }
                for line in lines {
                    calls.write_all(format!("{line}\n").as_bytes()).await?;
                }
            }
            Ok(message) if has_empty_array(&message) => {
                let message = with_empty_object(message);
                calls.write_all(format!("{message}\n").as_bytes()).await?;
            }
            Err(error) if !line.trim_ascii().is_empty() => {
                let why = format!("the message is not valid JSON: {error}");
                write_line(&out, &error_response(PARSE_ERROR, &why).to_string()).await?;
            }
            _ => {
                let cancelled = cancelled_id(&line).and_then(|id| lock(&session).cancel(&id));
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

async fn forward_output(
    answers: impl AsyncRead + Unpin,
    session: Arc<Mutex<BatchSession>>,
    out: SharedOutput<impl AsyncWrite + Unpin>,
) -> io::Result<()> {
    let mut answers = BufReader::new(answers).lines();
    while let Some(line) = answers.next_line().await? {
        let line = lock(&session).collect_answer(line);
        if let Some(line) = line {
            write_line(&out, &line).await?;
        }
    }
    Ok(())
}

async fn write_line(out: &SharedOutput<impl AsyncWrite + Unpin>, line: &str) -> io::Result<()> {
    let mut out = out.lock().await;
    out.write_all(format!("{line}\n").as_bytes()).await?;
    out.flush().await
}

fn refused(why: &str) -> Value {
    error_response(INVALID_REQUEST, why)
}

fn error_response(code: i64, why: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": why}})
}

/// Skips the rest of a line.
async fn skip_line(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    loop {
        let read = input.fill_buf().await?;
        let end = read.iter().position(|byte| *byte == b'\n');
        let (length, is_end) = (end.map_or(read.len(), |end| end + 1), end.is_some() || read.is_empty());
        input.consume(length);
        if is_end {
            return Ok(());
        }
    }
}

/// Whether a call has the arguments `[]`. The languages of some clients cannot distinguish it from `{}`.
fn has_empty_array(message: &Value) -> bool {
    let arguments = message.pointer("/params/arguments").and_then(Value::as_array);
    message["method"] == "tools/call" && arguments.is_some_and(Vec::is_empty)
}

fn with_empty_object(mut message: Value) -> Value {
    if let Some(arguments) = message.pointer_mut("/params/arguments") {
        *arguments = Value::Object(Map::new());
    }
    message
}

/// The id of the call that a line cancels.
fn cancelled_id(line: &[u8]) -> Option<Value> {
    let message: Value = serde_json::from_slice(line).ok()?;
    (message["method"] == "notifications/cancelled").then(|| message["params"]["requestId"].clone())
}

fn lock(session: &Mutex<BatchSession>) -> MutexGuard<'_, BatchSession> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
