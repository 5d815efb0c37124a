//! A connection that speaks the NATS protocol directly. A server handles the lines of a connection in order: everything
//! that it sends before the reply to a ping is its complete response to the lines before the ping. Therefore no test
//! waits for a fixed time.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Far more than any reply takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// A connection to the server.
pub(crate) struct RawClient {
    reader: BufReader<TcpStream>,
    /// The lines that are sent with the next ping.
    unsent: String,
    subscriptions: usize,
}

/// The output of the server up to a reply.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerOutput {
    /// The subscription number and the subject of each message.
    pub(crate) messages: Vec<(usize, String)>,
    /// The text of each error.
    pub(crate) errors: Vec<String>,
}

impl RawClient {
    /// Connects with the key of an entry.
    pub(crate) fn open(address: &str, pair: &KeyPair) -> Result<Self, String> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut line = Self { reader: BufReader::new(stream), unsent: String::new(), subscriptions: 0 };
        let info: Value = serde_json::from_str(line.read().strip_prefix("INFO ").unwrap()).unwrap();
        let signature = pair.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let who = json!({"verbose": false, "pedantic": false, "protocol": 1, "lang": "test", "version": "0",
            "nkey": pair.public_key(), "sig": BASE64URL_NOPAD.encode(&signature)});
        line.unsent = format!("CONNECT {who}\r\n");
        match line.ping().errors.pop() {
            None => Ok(line),
            Some(error) => Err(error),
        }
    }

    /// Publishes an empty message with the next ping.
    pub(crate) fn publish(&mut self, subject: &str) {
        write!(self.unsent, "PUB {subject} 0\r\n\r\n").unwrap();
    }

    /// Subscribes with the next ping; returns the number of the subscription.
    pub(crate) fn subscribe(&mut self, subject: &str) -> usize {
        self.subscriptions += 1;
        write!(self.unsent, "SUB {subject} {}\r\n", self.subscriptions).unwrap();
        self.subscriptions
    }

    /// Sends the pending lines, and returns the output of the server up to the reply.
    pub(crate) fn ping(&mut self) -> ServerOutput {
        self.unsent += "PING\r\n";
        self.reader.get_mut().write_all(std::mem::take(&mut self.unsent).as_bytes()).unwrap();
        let mut output = ServerOutput::default();
        loop {
            let line = self.read();
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "PONG" => return output,
                "MSG" => {
                    output.messages.push((words[2].parse().unwrap(), words[1].to_owned()));
                    let length: usize = words.last().unwrap().parse().unwrap();
                    self.reader.read_exact(&mut vec![0; length + "\r\n".len()]).unwrap();
                }
                "-ERR" => {
                    output.errors.push(line["-ERR ".len()..].trim_matches('\'').to_owned());
                    // The server then closes the connection.
                    if line.contains("Authorization") {
                        return output;
                    }
                }
                "INFO" | "PING" => {}
                _ => panic!("unexpected line from the server: {line:?}"),
            }
        }
    }

    /// Returns the next line.
    fn read(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
