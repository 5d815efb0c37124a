//! A real git remote: an HTTP server on a free port that passes each request to `git http-backend`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The HTTP basic authentication header for `deploy:s3cret-w0rd`.
const BASIC: &str = "Basic ZGVwbG95OnMzY3JldC13MHJk";

/// Serves all repositories in a directory until dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn open(dir: &Path) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST, dir)
    }

    /// A server without password on another address of this machine.
    pub(crate) fn open_at(address: Ipv4Addr, dir: &Path) -> Self {
        Self::start(address, dir, None)
    }

    /// A server that requires user `deploy` and password `s3cret-w0rd`.
    pub(crate) fn locked(dir: &Path) -> Self {
        Self::with_authorization(dir, BASIC)
    }

    /// A server that requires this `Authorization` header.
    pub(crate) fn with_authorization(dir: &Path, basic: &'static str) -> Self {
        Self::start(Ipv4Addr::LOCALHOST, dir, Some(basic))
    }

    fn start(address: Ipv4Addr, dir: &Path, locked: Option<&'static str>) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (dir, stopped) = (dir.to_owned(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let dir = dir.clone();
                // A client may disconnect early, which is not an error.
                std::thread::spawn(move || connection.and_then(|stream| answer(stream, &dir, locked)));
            }
        });
        Self { address, stop, thread: Some(thread) }
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The flake URL of `infra.git`.
    pub(crate) fn flake(&self) -> String {
        format!("git+http://{}/infra.git", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes up `incoming`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    /// Header names are in lower case.
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

fn answer(mut stream: TcpStream, dir: &PathBuf, locked: Option<&str>) -> std::io::Result<()> {
    let request = read(&mut BufReader::new(stream.try_clone()?))?;
    if locked.is_some_and(|basic| request.header("authorization") != basic) {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n\
                       Content-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refusal.as_bytes());
    }
    let mut backend = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", dir)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    backend.stdin.take().unwrap().write_all(&request.body)?;
    let output = backend.wait_with_output()?.stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    stream.write_all(&output)
}

fn read(stream: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request =
        Request { method, path: path.into(), query: query.into(), headers: vec![], body: vec![] };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    stream.take(length).read_to_end(&mut request.body)?;
    Ok(request)
}
