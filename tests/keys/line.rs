//! A connection that speaks the protocol of NATS itself. A server answers a connection in order: what it says before the
//! answer to a ping is all that it has to say to what was sent before that ping, so that nothing here waits for a while.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Far more than any answer takes.
const DEADLINE: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Line {
    reader: BufReader<TcpStream>,
    /// What is to be sent with the next ping.
    unsent: String,
    subscriptions: usize,
}

/// What the server said up to an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The number of the subscription and the subject of each message.
    pub(crate) messages: Vec<(usize, String)>,
    /// The text of each error.
    pub(crate) errors: Vec<String>,
}

impl Line {
    /// Connects under a key.
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

    /// Subscribes with the next ping; gives the number of the subscription.
    pub(crate) fn subscribe(&mut self, subject: &str) -> usize {
        self.subscriptions += 1;
        write!(self.unsent, "SUB {subject} {}\r\n", self.subscriptions).unwrap();
        self.subscriptions
    }

    /// Sends what there is to send, and gives all that the server said before it had dealt with that.
    pub(crate) fn ping(&mut self) -> Said {
        self.unsent += "PING\r\n";
        self.reader.get_mut().write_all(std::mem::take(&mut self.unsent).as_bytes()).unwrap();
        let mut said = Said::default();
        loop {
            let line = self.read();
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "PONG" => return said,
                "MSG" => {
                    said.messages.push((words[2].parse().unwrap(), words[1].to_owned()));
                    let length: usize = words.last().unwrap().parse().unwrap();
                    self.reader.read_exact(&mut vec![0; length + "\r\n".len()]).unwrap();
                }
                "-ERR" => {
                    said.errors.push(line["-ERR ".len()..].trim_matches('\'').to_owned());
                    // It closes the connection then.
                    if line.contains("Authorization") {
                        return said;
                    }
                }
                "INFO" | "PING" => {}
                _ => panic!("the server says {line:?}"),
            }
        }
    }

    /// The next line.
    fn read(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
