//! Credentials as people keep them: key files with more in them, from a pipe, `.creds` files, passwords in URLs; and what a
//! server without room says.

use crate::common::{Broker, HostBuilder, eventually, operator, run};
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

/// A file that its owner alone can read.
fn private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn a_key_file_may_hold_more_than_the_seed() {
    let broker = Broker::start();
    let seed = fs::read_to_string(broker.key("tester")).unwrap();
    let seed = seed.trim();
    for (name, text) in [
        ("bom", format!("\u{feff}{seed}\r\n")),
        ("comment", format!("# of alice\r\n\r\n  {seed}  # made in May\r\n")),
    ] {
        let file = private(broker.folder().join(name), &text);
        run(operator(&broker, "tester").args(["hosts", "--nkey-file"]).arg(file), 3);
    }
}

#[test]
fn a_key_is_read_once_so_it_may_come_from_a_pipe() {
    let broker = Broker::start();
    let key = fs::File::open(broker.key("tester")).unwrap();
    let mut cat = std::process::Command::new("cat").stdin(key).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = operator(&broker, "tester");
    command.args(["hosts", "--nkey-file", "/dev/stdin"]).stdin(cat.stdout.take().unwrap());
    run(&mut command, 3);
    cat.wait().unwrap();
}

#[test]
fn a_password_or_a_token_in_the_url_signs_in_and_the_key_signs() {
    let mut broker = Broker::without_keys();
    for (authorization, userinfo, wrong) in
        [("user: bob, password: 'p@w'", "bob:p%40w", "bob:s3cret"), ("token: 't0ken'", "t0ken", "s3cret")]
    {
        broker.stop();
        broker.restart_with(&format!("authorization {{ {authorization} }}\n"));
        let url = |userinfo: &str| broker.url().replace("//", &format!("//{userinfo}@"));
        let host =
            HostBuilder::new(&broker, "web1", "test", "web").flag("--nats-url", &url(userinfo)).start();
        let hosts = run(operator(&broker, "tester").args(["hosts", "--nats-url", &url(userinfo)]), 0);
        assert!(hosts.out.contains("web1"), "{hosts}");
        let refused = run(operator(&broker, "tester").args(["hosts", "--nats-url", &url(wrong)]), 5);
        assert!(refused.err.contains("refused the user and password, or the token, in its URL"), "{refused}");
        assert!(!refused.err.contains("s3cret"), "{refused}");
        drop(host);
    }
}

/// A JWT of these claims, as `nsc` makes it.
fn jwt(issuer: &KeyPair, subject: &KeyPair, name: &str, mut nats: Value) -> String {
    nats["version"] = json!(2);
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let claims = json!({"jti": name, "iat": 1_700_000_000, "iss": issuer.public_key(), "name": name,
        "sub": subject.public_key(), "nats": nats});
    let text = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes())).join(".");
    let signature = issuer.sign(text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Puts the server into operator mode, and gives a user's `.creds` file.
fn with_jwts(broker: &mut Broker, folder: &Path) -> PathBuf {
    let (root, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({"subs": -1, "data": -1, "payload": -1, "conn": -1, "imports": -1, "exports": -1, "leaf": -1,
        "wildcards": true});
    let of_root = jwt(&root, &root, "fleet", json!({"type": "operator"}));
    let of_account = jwt(&root, &account, "hosts", json!({"type": "account", "limits": limits}));
    let of_user =
        jwt(&account, &user, "alice", json!({"type": "user", "subs": -1, "data": -1, "payload": -1}));
    broker.stop();
    broker.restart_with(&format!(
        "operator: {of_root}\nresolver: MEMORY\nresolver_preload: {{ {}: {of_account} }}\n",
        account.public_key()
    ));
    let seed = user.seed().unwrap();
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{of_user}\n------END NATS USER JWT------\n\n************************* IMPORTANT *************************\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\n-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    private(folder.join("alice.creds"), &text)
}

#[test]
fn a_creds_file_signs_in_and_its_seed_signs_requests() {
    let mut broker = Broker::without_keys();
    let folder = tempfile::tempdir().unwrap();
    let creds = with_jwts(&mut broker, folder.path());
    let text = fs::read_to_string(&creds).unwrap();
    let seed = text.lines().find(|line| line.starts_with("SU")).unwrap();
    let key = KeyPair::from_seed(seed).unwrap().public_key();
    let path = creds.to_str().unwrap();
    let host = HostBuilder::new(&broker, "web1", "test", "web")
        .without("--nkey-file")
        .args(&["--creds-file", path, "--trusted-key", &key])
        .start();
    let mut command = operator(&broker, "tester");
    command.env_remove("HOMELAB_DEPLOY_NKEY_FILE").args(["deploy", "web1", "--creds-file", path]);
    let done = run(&mut command, 0);
    assert!(done.out.contains("web1  completed"), "{done}");
    drop(host);
    let bare = run(operator(&broker, "tester").arg("hosts"), 5);
    assert!(bare.err.contains("refused the key"), "{bare}");
}

#[test]
fn a_server_that_takes_small_messages_only_is_named_and_the_result_still_arrives() {
    let mut broker = Broker::start();
    broker.stop();
    broker.restart_with("max_payload: 4096\n");
    let script = "i=0; while [ $i -lt 300 ]; do echo line $i of a build that fails and says much; i=$((i+1)); done; exit 1";
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").script(script).launch();
    let warning = "the server takes messages of at most 4096 bytes (max_payload), so logs and long reports do not get \
                   through; set max_payload to 65536 in its configuration";
    assert_eq!(host.logged(warning)["level"], "WARN");
    let failed = run(operator(&broker, "tester").args(["deploy", "web1", "--timeout", "30"]), 1);
    assert!(failed.out.contains("web1  failed"), "{failed}");
    let hosts = run(operator(&broker, "tester").args(["hosts", "--output", "json"]), 0);
    assert!(hosts.out.contains("max_payload"), "{hosts}");
}

#[test]
fn a_server_that_allows_too_few_subscriptions_is_told_in_the_log() {
    let mut broker = Broker::start();
    broker.stop();
    broker.restart_with("max_subscriptions: 1\n");
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").launch();
    let warning = "the server says: maximum subscriptions exceeded; raise max_subscriptions in its configuration, \
                   docs/nats.md says how far";
    assert_eq!(host.logged(warning)["level"], "WARN");
}

#[test]
fn a_refused_key_is_logged_once_however_often_it_is_tried() {
    let broker = Broker::start();
    let key = broker.key("stranger").to_str().unwrap().to_owned();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").flag("--nkey-file", &key).launch();
    host.logged("not connected");
    let refused = || broker.log().matches("authentication error").count();
    eventually("four attempts", || (refused() >= 4).then_some(()));
    let log = host.rest_of_log();
    let loud = log.iter().filter(|line| line["level"] == "ERROR" || line["msg"] == "not connected").count();
    assert_eq!(loud, 0, "{log:#?}");
}

/// Serves one client by the book, but says with its first PONG that there is no room for subscriptions.
fn server_without_room() -> String {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    spawn(move || {
        let mut client = server.accept().unwrap().0;
        let info = json!({
            "server_id": "X", "version": "2.10.0", "proto": 1, "max_payload": 1_048_576, "headers": true, "nonce": "abcdefgh"});
        client.write_all(format!("INFO {info}\r\n").as_bytes()).unwrap();
        let mut said = "\r\n-ERR 'maximum subscriptions exceeded'";
        for line in BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line == "PING" {
                client.write_all(format!("PONG{said}\r\n").as_bytes()).unwrap();
                said = "";
            }
        }
    });
    url
}

#[test]
fn a_server_that_complains_at_once_is_told_in_the_log() {
    let broker = Broker::start();
    let url = server_without_room();
    let mut host = HostBuilder::new(&broker, "web1", "test", "web").flag("--nats-url", &url).launch();
    host.logged("connected");
    host.logged(
        "the server says: maximum subscriptions exceeded; raise max_subscriptions in its configuration, docs/nats.md says \
         how far",
    );
}
