//! A server that records what is posted, and answers as a test says.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Header names are in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

impl Posted {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no {field} in {:#}", self.body))
    }
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub(crate) enum ChatAnswer {
    /// With a status, more headers such as `Retry-After: 1`, and a body.
    Status(u16, Vec<String>, String),
    /// Never; the connection stays open.
    Hang,
    /// The connection is closed.
    Close,
}

impl ChatAnswer {
    pub(crate) fn ok() -> Self {
        Self::status(200)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), "{}".to_owned())
    }
}

type Answers = dyn Fn(&Posted, usize) -> ChatAnswer + Send + Sync;

/// A server on a free port, stopped on drop.
pub(crate) struct ChatServer {
    address: String,
    posted: Receiver<Posted>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ChatServer {
    /// A server that accepts everything.
    pub(crate) fn accepting() -> Self {
        Self::new(|_, _| ChatAnswer::ok())
    }

    /// A server whose answers are the results of `answers` for the request and the number of earlier requests with its path.
    pub(crate) fn new(answers: impl Fn(&Posted, usize) -> ChatAnswer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Arc::new(AtomicBool::new(false));
        let (into, posted) = channel();
        let (stopped, answers) = (Arc::clone(&stop), Arc::new(answers));
        let paths = Arc::new(Mutex::new(Vec::new()));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (into, answers, paths) = (into.clone(), Arc::clone(&answers), Arc::clone(&paths));
                // A client may disconnect early, which is not an error.
                std::thread::spawn(move || {
                    connection.and_then(|stream| serve(stream, &into, &*answers, &paths))
                });
            }
        });
        Self { address, posted, stop, thread: Some(thread) }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub(crate) fn next(&self) -> Posted {
        self.posted.recv_timeout(crate::common::DEADLINE).expect("a request")
    }

    /// The next request with this path.
    pub(crate) fn next_at(&self, path: &str) -> Posted {
        loop {
            let posted = self.next();
            if posted.path == path {
                return posted;
            }
        }
    }

    /// The requests so far that were not returned yet.
    pub(crate) fn received(&self) -> Vec<Posted> {
        self.posted.try_iter().collect()
    }
}

impl Drop for ChatServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The thread is waiting for a connection.
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

/// Answers the requests of one connection.
fn serve(
    stream: TcpStream,
    into: &Sender<Posted>,
    answers: &Answers,
    paths: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let posted = Posted { method, path: path.clone(), headers, body, bytes };
        let earlier = {
            let mut paths = paths.lock().unwrap();
            paths.push(path.clone());
            paths.iter().filter(|known| **known == path).count() - 1
        };
        let answer = answers(&posted, earlier);
        let _ = into.send(posted);
        match answer {
            ChatAnswer::Status(status, more, body) => {
                let more = more.iter().fold(String::new(), |all, header| all + header + "\r\n");
                write!(writer, "HTTP/1.1 {status} X\r\n{more}Content-Length: {}\r\n\r\n{body}", body.len())?;
            }
            ChatAnswer::Hang => {
                // Until the client gives up.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
            ChatAnswer::Close => return Ok(()),
        }
    }
}
