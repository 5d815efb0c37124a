//! A TCP proxy that can be cut: it forwards connections until it is cut, and then refuses them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A proxy on a free port.
pub struct TcpProxy {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    ended: bool,
    open: Vec<TcpStream>,
}

impl TcpProxy {
    /// Creates a proxy for `HOST:PORT`.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (server, shared) = (server.to_owned(), state.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut state = shared.lock().unwrap();
                if state.ended {
                    return;
                }
                // The connection is closed immediately.
                if state.cut {
                    continue;
                }
                if let Ok(far) = TcpStream::connect(&server) {
                    state.open.extend([stream.try_clone().unwrap(), far.try_clone().unwrap()]);
                    forward(stream.try_clone().unwrap(), far.try_clone().unwrap());
                    forward(far, stream);
                }
            }
        });
        Self { address, state }
    }

    /// The URL of the proxy.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Drops all connections, and refuses new ones.
    pub fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.cut = true;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub fn restore(&self) {
        self.state.lock().unwrap().cut = false;
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.cut();
        self.state.lock().unwrap().ended = true;
        // This wakes the thread that accepts connections.
        let _ = TcpStream::connect(&self.address);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16 << 10];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 || to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
