//! Deployments over TLS.

use crate::certificates::{Authority, Pair};
use crate::common::{HostBuilder, NatsServer, eventually, operator, run};
use crate::monitor::{MONITORED, peers, total_connections};
use std::fs;
use std::path::Path;

/// A server with this additional configuration.
pub(crate) fn server_with(config: &str) -> NatsServer {
    NatsServer::configured("127.0.0.1", &std::env::temp_dir(), config)
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

/// Deploys `web1` over TLS, until the end.
fn deploy_web1(nats: &NatsServer, url: &str, flags: &[String]) {
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let web1 = HostBuilder::new(nats, "web1", "test", "web").flag("--nats-url", url).args(&args);
    let _host = web1.start();
    let mut deploy = operator(nats, "tester");
    let done = run(deploy.args(["deploy", "web1", "--nats-url", url]).args(&args), 0);
    assert!(done.stdout.contains("\nweb1  completed"), "{done}");
}

#[test]
fn a_server_certificate_from_a_private_authority() {
    let authority = Authority::new();
    let server = server_with(&authority.sign("server", &["127.0.0.1"]).of_server(""));
    let flags = flags(&authority.ca(), None);
    // With either URL, because a server with TLS requires it.
    deploy_web1(&server, &server.url(), &flags);
    deploy_web1(&server, &server.url().replace("nats://", "tls://"), &flags);
}

#[test]
fn a_server_that_requires_client_certificates() {
    let authority = Authority::new();
    let server = server_with(&authority.sign("server", &["localhost"]).of_strict_server(&authority.ca()));
    let ours = authority.sign("client", &["client"]);
    let url = server.url().replace("nats://127.0.0.1", "tls://localhost");
    deploy_web1(&server, &url, &flags(&authority.ca(), Some(&ours)));
}

#[test]
fn certificates_in_a_context_are_used_and_checked() {
    let authority = Authority::new();
    let server = server_with(&authority.sign("server", &["127.0.0.1"]).of_strict_server(&authority.ca()));
    let (ours, other) = (authority.sign("client", &["client"]), authority.sign("other", &["other"]));
    let dir = server.dir().join("config/viewer/homelab-deploy");
    fs::create_dir_all(&dir).unwrap();
    let write = |key: &Path| {
        let (ca, certificate) = (authority.ca(), &ours.certificate);
        let url = server.url();
        let file = format!(
            "[contexts.home]\nnats_url = {url:?}\ntls_ca = {ca:?}\ntls_cert = {certificate:?}\ntls_key = {key:?}\n"
        );
        fs::write(dir.join("config.toml"), file).unwrap();
    };
    write(&ours.key);
    // The connection succeeds; only the host is missing.
    let connected = run(operator(&server, "viewer").env_remove("HOMELAB_DEPLOY_NATS_URL").arg("hosts"), 3);
    assert!(connected.stdout.starts_with("no host answered"), "{connected}");
    let check = || {
        let mut command = operator(&server, "viewer");
        command.args(["config", "check"]);
        command
    };
    let fine = run(&mut check(), 0);
    assert!(fine.stdout.contains("home: tls_key "), "{fine}");
    write(&other.key);
    let wrong = run(&mut check(), 2);
    let (key, certificate) = (other.key.display(), ours.certificate.display());
    let expected = format!("the key in {key} does not belong to the certificate in {certificate}");
    assert!(wrong.stdout.contains(&expected) || wrong.stderr.contains(&expected), "{wrong}");
}

#[test]
fn discovered_servers_are_not_used_without_tls() {
    let authority = Authority::new();
    let secure = authority.sign("server", &["127.0.0.1"]).of_server("");
    let cluster =
        |routes: &str| format!("{MONITORED}cluster {{ name: home, listen: \"127.0.0.1:-1\"{routes} }}\n");
    let mut first = server_with(&format!("{}{secure}\n", cluster("")));
    let plain = server_with(&cluster(&format!(", routes: [\"nats://{}\"]", first.address("cluster"))));
    eventually("both knowing each other", || (peers(&first).len() == 1).then_some(()));

    let flags = flags(&authority.ca(), None);
    let args: Vec<_> = flags.iter().map(String::as_str).collect();
    let url = first.url().replace("nats://", "tls://");
    let mut host =
        HostBuilder::new(&first, "web1", "test", "web").flag("--nats-url", &url).args(&args).start();
    first.stop();
    eventually("the listener trying the other", || (total_connections(&plain) > 1).then_some(()));
    host.terminate();
    let log = host.rest_of_log();
    assert!(!log.iter().any(|line| line["msg"] == "connected"), "{log:?}");
}
