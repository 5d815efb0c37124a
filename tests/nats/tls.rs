//! Deploying over TLS.

use crate::certificates::{Authority, Pair};
use crate::common::{Broker, HostBuilder, eventually, operator, run};
use crate::monitor::{MONITORED, ever_connected, peers};
use std::fs;
use std::path::Path;

/// A server with this in its configuration.
pub(crate) fn broker(config: &str) -> Broker {
    Broker::configured("127.0.0.1", &std::env::temp_dir(), config)
}

/// The flags of a listener or operator.
pub(crate) fn flags(ca: &Path, own: Option<&Pair>) -> Vec<String> {
    let text = |path: &Path| path.display().to_string();
    let mut flags = vec!["--tls-ca".to_owned(), text(ca)];
    if let Some(own) = own {
        flags.extend([
            "--tls-cert".to_owned(),
            text(&own.certificate),
            "--tls-key".to_owned(),
            text(&own.key),
        ]);
    }
    flags
}

/// A deployment of `web1` over TLS, to its end.
fn deploys(broker: &Broker, url: &str, flags: &[String]) {
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let web1 = HostBuilder::new(broker, "web1", "test", "web").flag("--nats-url", url).args(&args);
    let _host = web1.start();
    let mut deploy = operator(broker, "tester");
    let done = run(deploy.args(["deploy", "web1", "--nats-url", url]).args(&args), 0);
    assert!(done.out.contains("\nweb1  completed"), "{done}");
}

#[test]
fn a_server_whose_certificate_is_of_a_private_authority() {
    let authority = Authority::new();
    let server = broker(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let flags = flags(&authority.ca(), None);
    // Either way: a server that has TLS insists on it.
    deploys(&server, &server.url(), &flags);
    deploys(&server, &server.url().replace("nats://", "tls://"), &flags);
}

#[test]
fn a_server_that_wants_certificates_of_everybody() {
    let authority = Authority::new();
    let server = broker(&authority.sign("server", &["localhost"]).of_strict_server(&authority.ca()));
    let ours = authority.sign("client", &["client"]);
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    deploys(&server, &url, &flags(&authority.ca(), Some(&ours)));
}

#[test]
fn a_context_holds_the_certificates_too_and_they_are_checked() {
    let authority = Authority::new();
    let server = broker(&authority.sign("server", &["127.0.0.1"]).of_strict_server(&authority.ca()));
    let (ours, other) = (authority.sign("client", &["client"]), authority.sign("other", &["other"]));
    let folder = server.folder().join("config/viewer/homelab-deploy");
    fs::create_dir_all(&folder).unwrap();
    let write = |key: &Path| {
        let (ca, certificate) = (authority.ca(), &ours.certificate);
        let url = server.url();
        let file = format!(
            "[contexts.home]\nnats_url = {url:?}\ntls_ca = {ca:?}\ntls_cert = {certificate:?}\ntls_key = {key:?}\n"
        );
        fs::write(folder.join("config.toml"), file).unwrap();
    };
    write(&ours.key);
    // It is connected: what is missing is a host.
    let connected = run(operator(&server, "viewer").env_remove("HOMELAB_DEPLOY_NATS_URL").arg("hosts"), 3);
    assert!(connected.out.starts_with("no host answered"), "{connected}");
    let check = || {
        let mut command = operator(&server, "viewer");
        command.args(["config", "check"]);
        command
    };
    let fine = run(&mut check(), 0);
    assert!(fine.out.contains("home: tls_key "), "{fine}");
    write(&other.key);
    let wrong = run(&mut check(), 2);
    let (key, certificate) = (other.key.display(), ours.certificate.display());
    let expected = format!("the key in {key} does not belong to the certificate in {certificate}");
    assert!(wrong.out.contains(&expected) || wrong.err.contains(&expected), "{wrong}");
}

#[test]
fn servers_that_are_only_heard_of_get_no_word_without_tls() {
    let authority = Authority::new();
    let secure = authority.sign("server", &["127.0.0.1"]).of_server("");
    let cluster =
        |routes: &str| format!("{MONITORED}cluster {{ name: home, listen: \"127.0.0.1:-1\"{routes} }}\n");
    let mut first = broker(&format!("{}{secure}\n", cluster("")));
    let plain = broker(&cluster(&format!(", routes: [\"nats://{}\"]", first.place("cluster"))));
    eventually("both knowing each other", || (peers(&first).len() == 1).then_some(()));

    let flags = flags(&authority.ca(), None);
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let url = first.url().replace("nats://", "tls://");
    let mut host =
        HostBuilder::new(&first, "web1", "test", "web").flag("--nats-url", &url).args(&args).start();
    first.stop();
    eventually("the listener trying the other", || (ever_connected(&plain) > 1).then_some(()));
    host.terminate();
    let log = host.rest_of_log();
    assert!(!log.iter().any(|line| line["msg"] == "connected"), "{log:?}");
}
