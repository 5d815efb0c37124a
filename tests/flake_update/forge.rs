//! A fake forge with configurable responses, which records all requests.

use crate::certificates::Pair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A recorded request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) path: String,
    /// Header names are in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// The response: status, `Location` header unless empty, and body. `None` sends no response.
pub(crate) type Response = Option<(u16, String, Value)>;

type Responses = dyn Fn(&Request, usize) -> Response + Send + Sync;

/// A forge on a free port, stopped on drop.
pub(crate) struct Forge {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Forge {
    /// A forge whose responses are the results of `responses` for the request and the number of earlier requests.
    pub(crate) fn new(responses: impl Fn(&Request, usize) -> Response + Send + Sync + 'static) -> Self {
        Self::start(None, responses)
    }

    /// A default Gitea that uses TLS with this certificate.
    pub(crate) fn with_tls(pair: &Pair) -> Self {
        let chain = CertificateDer::pem_file_iter(&pair.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let config = config.with_single_cert(chain, key).unwrap();
        Self::start(Some(Arc::new(config)), |request, _| plain(request))
    }

    fn start(
        tls: Option<Arc<ServerConfig>>,
        responses: impl Fn(&Request, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (recorded, stopped, responses) = (Arc::clone(&requests), Arc::clone(&stop), Arc::new(responses));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (recorded, responses, tls) = (Arc::clone(&recorded), Arc::clone(&responses), tls.clone());
                // A client may disconnect early, which is not an error.
                std::thread::spawn(move || {
                    connection.and_then(|stream| match tls {
                        None => serve(stream, &recorded, &*responses),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).map_err(std::io::Error::other)?;
                            serve(StreamOwned::new(connection, stream), &recorded, &*responses)
                        }
                    })
                });
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    /// A Gitea without pull requests and labels, except for the responses of `special`.
    pub(crate) fn gitea(special: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        Self::new(move |request, _| special(request).or_else(|| plain(request)))
    }

    /// The URL of the fleet's page.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/alice/fleet", self.address)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests so far as `METHOD PATH`, without queries.
    pub(crate) fn calls(&self) -> Vec<String> {
        let call = |request: &Request| {
            format!("{} {}", request.method, request.path.split('?').next().unwrap_or_default())
        };
        self.requests().iter().map(call).collect()
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes up `incoming`.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The JSON of a pull request.
pub(crate) fn pull(number: u64, branch: &str, of: &str) -> Value {
    json!({
        "number": number,
        "html_url": format!("https://git.example.org/alice/fleet/pulls/{number}"),
        "head": {"ref": branch, "repo": {"full_name": of}},
        "base": {"ref": "master"},
    })
}

fn plain(request: &Request) -> Response {
    let ok = |status, body| Some((status, String::new(), body));
    let path = request.path.split('?').next().unwrap_or_default();
    match (request.method.as_str(), path) {
        ("GET", _) | ("POST", "/api/v1/repos/alice/fleet/issues/7/labels") => ok(200, json!([])),
        ("POST", "/api/v1/repos/alice/fleet/pulls") => ok(201, pull(7, "", "")),
        ("POST", "/api/v1/repos/alice/fleet/labels") => ok(201, json!({"id": 42})),
        _ => ok(404, json!({"message": "unexpected"})),
    }
}

fn serve(
    stream: impl Read + Write,
    recorded: &Mutex<Vec<Request>>,
    responses: &Responses,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let Some(request) = read(&mut reader)? else { return Ok(()) };
        let before = {
            let mut recorded = recorded.lock().unwrap();
            recorded.push(request.clone());
            recorded.len() - 1
        };
        let Some((status, location, body)) = responses(&request, before) else {
            // Waits until the client disconnects.
            let _ = reader.read(&mut [0]);
            return Ok(());
        };
        let body = if body.is_string() { body.as_str().unwrap().to_owned() } else { body.to_string() };
        let location = if location.is_empty() { location } else { format!("Location: {location}\r\n") };
        let length = body.len();
        let stream = reader.get_mut();
        write!(stream, "HTTP/1.1 {status} X\r\n{location}Content-Length: {length}\r\n\r\n{body}")?;
        stream.flush()?;
    }
}

fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, path, headers: Vec::new(), body: Value::Null };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").parse().unwrap_or(0);
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    request.body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(request))
}
