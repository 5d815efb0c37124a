//! `notify --test`: one message, without a NATS server.

use crate::chat_server::{ChatAnswer, ChatServer};
use crate::common::{TestDir, binary, run};
use crate::stage::{secret, webhook};
use std::process::Command;

fn notify(dir: &TestDir, config: &str, args: &[&str]) -> Command {
    let file = dir.path().join("notify.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(binary());
    command.env_clear().arg("notify").arg("--config").arg(file).args(args);
    command
}

#[test]
fn a_test_message_shows_whether_a_target_works() {
    let dir = TestDir::new();
    let chat = ChatServer::new(|posted, _| {
        if posted.path == "/bad" {
            ChatAnswer::Status(401, vec![], "who?".to_owned())
        } else {
            ChatAnswer::ok()
        }
    });
    let config = webhook(&chat, "good", "") + &webhook(&chat, "bad", "");
    let server = chat.url("");
    let ok = run(&mut notify(&dir, &config, &["--test", "good"]), 0);
    assert_eq!(ok.stdout, format!("ok: posted to good ({server})\n"));
    let posted = chat.next();
    assert_eq!((posted.text("event"), posted.text("title")), ("test", "homelab-deploy: test"));
    let bad = run(&mut notify(&dir, &config, &["--test", "bad", "--test", "good"]), 1);
    assert_eq!(
        bad.stdout,
        format!("failed: bad ({server}): HTTP 401: who?\nok: posted to good ({server})\n")
    );
    run(&mut notify(&dir, &config, &["--test", "goof"]), 2)
        .assert_stderr(&["--test: ", "notify.toml has no target goof (did you mean good?)"]);
}

#[test]
fn secrets_of_systemd_are_found_in_its_directory() {
    let (dir, chat) = (TestDir::new(), ChatServer::accepting());
    secret(dir.path(), "ops-url", &chat.url("/ops"));
    let config = "[targets.ops]\nkind = \"webhook\"\nurl_file = \"%d/ops-url\"\n";
    let missing = run(&mut notify(&dir, config, &["--test", "ops"]), 2);
    missing.assert_stderr(&["targets.ops.url_file: %d is the directory of systemd's credentials, but CREDENTIALS_DIRECTORY is not set"]);
    let credentials = dir.path();
    run(notify(&dir, config, &["--test", "ops"]).env("CREDENTIALS_DIRECTORY", credentials), 0);
    assert_eq!(chat.next().path, "/ops");
}

#[test]
fn a_file_with_a_secret_must_be_private_and_contain_one() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TestDir::new();
    let config = "[targets.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\ntoken_file = \"token\"\n";
    let refused = |expected: &str| {
        run(&mut notify(&dir, config, &["--test", "ops"]), 2)
            .assert_stderr(&["targets.ops.token_file: ", expected]);
    };
    refused("/token: No such file");
    let file = secret(dir.path(), "token", "two words");
    refused("/token has no secret: expected one word on one line");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("/token is readable by all users; run `chmod 600 ");
    let config = "[targets.ops]\nkind = \"slack\"\nurl_file = \"url\"\n";
    secret(dir.path(), "url", "http://hooks.example.org/s3cret");
    let refused = run(&mut notify(&dir, config, &["--test", "ops"]), 2);
    refused.assert_stderr(&[
        "targets.ops.url_file: the URL in ",
        "without TLS, others can read the notifications",
    ]);
    assert!(!refused.stderr.contains("s3cret"), "{refused}");
}
