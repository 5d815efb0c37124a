//! Credentials in all forms: seed files with additional lines, pipes, `.creds` files and passwords in URLs; and the
//! messages of a server that has reached a limit.

use crate::common::{HostBuilder, NatsServer, eventually, operator, run};
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::spawn;

/// Creates a file that only its owner can read.
fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_key_file_may_hold_more_than_the_seed() {
    let nats = NatsServer::start();
    let seed = fs::read_to_string(nats.key("tester")).unwrap();
    let seed = seed.trim();
    for (name, text) in [
        ("bom", format!("\u{feff}{seed}\r\n")),
        ("comment", format!("# of alice\r\n\r\n  {seed}  # made in May\r\n")),
    ] {
        let file = private(nats.dir().join(name), &text);
        run(operator(&nats, "tester").args(["hosts", "--nkey-file"]).arg(file), 3);
    }
}

#[test]
fn a_key_is_read_once_so_it_may_come_from_a_pipe() {
    let nats = NatsServer::start();
    let key = fs::File::open(nats.key("tester")).unwrap();
    let mut cat = std::process::Command::new("cat").stdin(key).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = operator(&nats, "tester");
    command.args(["hosts", "--nkey-file", "/dev/stdin"]).stdin(cat.stdout.take().unwrap());
    run(&mut command, 3);
    cat.wait().unwrap();
}

#[test]
fn a_password_or_a_token_in_the_url_signs_in_and_the_key_signs() {
    let mut nats = NatsServer::without_keys();
    for (authorization, userinfo, wrong) in
        [("user: bob, password: 'p@w'", "bob:p%40w", "bob:s3cret"), ("token: 't0ken'", "t0ken", "s3cret")]
    {
        nats.stop();
        nats.restart_with(&format!("authorization {{ {authorization} }}\n"));
        let url = |userinfo: &str| nats.url().replace("//", &format!("//{userinfo}@"));
        let host = HostBuilder::new(&nats, "web1", "test", "web").flag("--nats-url", &url(userinfo)).start();
        let hosts = run(operator(&nats, "tester").args(["hosts", "--nats-url", &url(userinfo)]), 0);
        assert!(hosts.stdout.contains("web1"), "{hosts}");
        let refused = run(operator(&nats, "tester").args(["hosts", "--nats-url", &url(wrong)]), 5);
        assert!(
            refused.stderr.contains("refused the user and password, or the token, in its URL"),
            "{refused}"
        );
        assert!(!refused.stderr.contains("s3cret"), "{refused}");
        drop(host);
    }
}

/// Creates a JWT with these claims, as `nsc` does.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, mut nats: Value) -> String {
    nats["version"] = json!(2);
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({"jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject.public_key(), "nats": nats});
    let text = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Puts the server into operator mode, and returns the `.creds` file of a user.
fn with_jwts(nats: &mut NatsServer, dir: &Path) -> PathBuf {
    let (root, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1, "leaf": -1,
        "wildcards": true});
    let of_root = jwt(&root, &root, "fleet", json!({"type": "operator"}));
    let of_account = jwt(&root, &account, "hosts", json!({"type": "account", "limits": limits}));
    let of_user =
        jwt(&account, &user, "alice", json!({"type": "user", "subs": -1, "data": -1, "payload": -1}));
    nats.stop();
    nats.restart_with(&format!(
        "operator: {of_root}\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}\n",
        account.public_key()
    ));
    let seed = user.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n************************* IMPORTANT *************************\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    private(dir.join("alice.creds"), &text)
}

#[test]
fn a_creds_file_signs_in_and_its_seed_signs_requests() {
    let mut nats = NatsServer::without_keys();
    let dir = tempfile::tempdir().unwrap();
    let creds = with_jwts(&mut nats, dir.path());
    let text = fs::read_to_string(&creds).unwrap();
    let seed = text.lines().find(|line| line.starts_with("SU")).unwrap();
    let key = KeyPair::from_seed(seed).unwrap().public_key();
    let path = creds.to_str().unwrap();
    let host = HostBuilder::new(&nats, "web1", "test", "web")
        .without("--nkey-file")
        .args(&["--creds-file", path, "--trusted-key", &key])
        .start();
    let mut command = operator(&nats, "tester");
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").args(["deploy", "web1", "--creds-file", path]);
    let done = run(&mut command, 0);
    assert!(done.stdout.contains("web1  completed"), "{done}");
    drop(host);
    let bare = run(operator(&nats, "tester").arg("hosts"), 5);
    assert!(bare.stderr.contains("refused the key"), "{bare}");
}

#[test]
fn a_low_max_payload_is_reported_and_the_result_still_arrives() {
    let mut nats = NatsServer::start();
    nats.stop();
    nats.restart_with("max_payload: 4096\n");
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i of a build that fails and says much; i=$((i+1)); done; exit 1";
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").script(script).launch();
    let warning = "the server accepts messages of at most 4096 bytes (max_payload), so logs and long reports are lost; set max_payload to 65536 in its configuration";
    assert_eq!(host.wait_for_log(warning)["level"], "WARN");
    let failed = run(operator(&nats, "tester").args(["deploy", "web1", "--timeout", "30"]), 1);
    assert!(failed.stdout.contains("web1  failed"), "{failed}");
    let hosts = run(operator(&nats, "tester").args(["hosts", "--output", "json"]), 0);
    assert!(hosts.stdout.contains("max_payload"), "{hosts}");
}

#[test]
fn a_low_subscription_limit_is_logged() {
    let mut nats = NatsServer::start();
    nats.stop();
    nats.restart_with("max_subscriptions: 1\n");
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").launch();
    let warning = "server error: maximum subscriptions exceeded; raise max_subscriptions in its configuration (see docs/nats.md)";
    assert_eq!(host.wait_for_log(warning)["level"], "WARN");
}

#[test]
fn a_rejected_key_is_logged_once() {
    let nats = NatsServer::start();
    let key = nats.key("stranger").to_str().unwrap().to_owned();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").flag("--nkey-file", &key).launch();
    host.wait_for_log("not connected");
    let refused = || nats.log().matches("authentication error").count();
    eventually("four attempts", || (refused() >= 4).then_some(()));
    let log = host.rest_of_log();
    let loud = log.iter().filter(|line| line["level"] == "ERROR" || line["msg"] == "not connected").count();
    assert_eq!(loud, 0, "{log:#?}");
}

/// Serves one client correctly, but sends an error about the subscription limit with the first PONG.
fn full_server() -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    spawn(move || {
        let mut client = server.accept().unwrap().0;
        let info = json!({
            "server_id": "X", "version": "2.10.0", "proto": 1, "max_payload": 1_048_576, "headers": true, "nonce": "abcdefgh"});
        client.write_all(format!("INFO {info}\r\n").as_bytes()).unwrap();
        let mut error = "\r\n-ERR 'maximum subscriptions exceeded'";
        for line in BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line == "PING" {
                client.write_all(format!("PONG{error}\r\n").as_bytes()).unwrap();
                error = "";
            }
        }
    });
    url
}

#[test]
fn an_error_right_after_connecting_is_logged() {
    let nats = NatsServer::start();
    let url = full_server();
    let mut host = HostBuilder::new(&nats, "web1", "test", "web").flag("--nats-url", &url).launch();
    host.wait_for_log("connected");
    // It may be logged before.
    host.last_log(
        "server error: maximum subscriptions exceeded; raise max_subscriptions in its configuration (see docs/nats.md)",
    );
}
