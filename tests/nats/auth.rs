//! A server that asks for a signature of a request instead of a nonce gets no signature from any client.

use crate::common::{HostBuilder, NatsServer, RunningCommand, Terminal, operator};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::Duration;

/// Content that a server could want to have signed: the old format of a request, the new one as far as JSON can contain
/// it, and others.
const COMMANDS: [&str; 4] = [
    "homelab-deploy-v1\ndeploy.prod.ns1\n{}",
    "homelab-deploy-v2\u{ff}\nrequest\n\ndeploy.prod.ns1\n{}",
    "nonce with blanks",
    "=",
];

/// A server that greets with this nonce. It yields the response of each client, if there was one before the client
/// disconnected.
fn malicious_server(nonce: &str) -> (String, Receiver<Option<String>>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    let info = serde_json::json!({
        "server_id": "X", "version": "2.10.0", "proto": 1, "max_payload": 1_048_576, "auth_required": true, "nonce": nonce,
        "headers": true,
    });
    let (responses, clients) = channel();
    spawn(move || {
        for client in server.incoming() {
            if responses.send(greet(client.unwrap(), &info.to_string())).is_err() {
                return;
            }
        }
    });
    (url, clients)
}

fn greet(mut client: TcpStream, info: &str) -> Option<String> {
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(format!("INFO {info}\r\n").as_bytes()).ok()?;
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).ok().filter(|read| *read > 0)?;
    Some(line)
}

/// Waits until the server has greeted a client, which must not have signed anything.
fn assert_signs_nothing(clients: &Receiver<Option<String>>, who: &str) {
    let response =
        clients.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("{who} did not connect"));
    assert_eq!(response, None, "{who}");
}

#[test]
fn commands_sign_a_nonce_and_nothing_else() {
    let nats = NatsServer::start();
    for wanted in COMMANDS {
        let (url, clients) = malicious_server(wanted);
        for arguments in [&["hosts"][..], &["deploy", "web1"], &["build", "web1"], &["hosts", "--watch"]] {
            let command = RunningCommand::start(
                operator(&nats, "tester").env("HOMELAB_DEPLOY_NATS_URL", &url).args(arguments),
            );
            assert_signs_nothing(&clients, arguments[0]);
            let ended = command.wait_for_exit(5);
            ended.assert_stderr(&[
                "sent something other than a nonce to sign",
                "it was not signed",
                "use tls://",
            ]);
        }
    }
}

#[test]
fn services_sign_a_nonce_and_nothing_else() {
    let nats = NatsServer::start();
    let (url, clients) = malicious_server(COMMANDS[0]);
    let listener = HostBuilder::new(&nats, "web1", "test", "web").flag("--nats-url", &url).launch();
    assert_signs_nothing(&clients, "listener");
    drop(listener);
    let (url, clients) = malicious_server(COMMANDS[0]);
    let _builder =
        HostBuilder::builder(&nats, "[repos.fleet]\nurl = \"git+https://git.example.org/fleet\"\n")
            .flag("--nats-url", &url)
            .launch();
    assert_signs_nothing(&clients, "builder");
}

#[test]
fn the_console_and_the_mcp_server_sign_a_nonce_and_nothing_else() {
    let nats = NatsServer::start();
    let command = |url: &str, arguments: &[&str]| -> Command {
        let mut command = operator(&nats, "tester");
        command.env("HOMELAB_DEPLOY_NATS_URL", url).env("TERM", "xterm-256color").args(arguments);
        command
    };
    let (url, clients) = malicious_server(COMMANDS[0]);
    let console = Terminal::start(&command(&url, &["tui"]));
    assert_signs_nothing(&clients, "tui");
    drop(console);
    let (url, clients) = malicious_server(COMMANDS[0]);
    let mut server = command(&url, &["mcp"]);
    let mut server =
        server.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert_signs_nothing(&clients, "mcp");
    drop(server.stdin.take());
    server.kill().unwrap();
    server.wait().unwrap();
}
