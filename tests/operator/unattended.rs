//! Programs that run in the background cannot prompt, neither on the terminal nor with an askpass program.

use crate::common::{Host, HostBuilder, NatsServer, Terminal, TestDir, operator, run};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fake ssh that records its arguments and, like ssh for a passphrase, opens the terminal.
const SSH: &str = r#"#!/bin/sh
echo "$*" >> DIR/args
if (exec 3<>/dev/tty) 2>/dev/null; then echo 'Enter passphrase for key' > /dev/tty; touch DIR/asked; fi
case " $* " in *" -G "*) exit $(cat DIR/takes-options) ;; esac
cat DIR/says >&2
exit 255
"#;

/// An askpass program that must not be run.
const ASKS: &str = "#!/bin/sh\ntouch DIR/asked\necho secret\n";

struct Tools(TestDir);

impl Tools {
    fn new() -> Self {
        let tools = Self(TestDir::new());
        for name in ["ssh", "wrapper"] {
            tools.program(name, SSH);
        }
        tools.program("ask", ASKS);
        tools.takes_options(true);
        tools.wait_for_line("git@127.0.0.1: Permission denied (publickey).");
        tools
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn takes_options(&self, takes: bool) {
        fs::write(self.file("takes-options"), if takes { "0" } else { "1" }).unwrap();
    }

    /// Sets the message that the fake ssh prints before it fails.
    fn wait_for_line(&self, text: &str) {
        fs::write(self.file("says"), format!("{text}\n")).unwrap();
    }

    fn program(&self, name: &str, text: &str) -> String {
        let file = self.file(name);
        fs::write(&file, text.replace("DIR", &self.0.path().display().to_string())).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file.display().to_string()
    }

    /// Returns and clears the recorded arguments of ssh.
    fn called(&self) -> String {
        let args = fs::read_to_string(self.file("args")).unwrap();
        fs::remove_file(self.file("args")).unwrap();
        args.lines().find(|line| line.contains("git-upload-pack")).expect(&args).to_owned()
    }
}

fn host(nats: &NatsServer, flake: &str) -> Host {
    HostBuilder::new(nats, "web1", "test", "web").flake(flake).start()
}

/// A deployment at the head of a branch that is looked up on this machine.
fn pinned(nats: &NatsServer, home: &Path) -> Command {
    let mut command = operator(nats, "tester");
    command.args(["deploy", "web1", "--branch", "main", "--pin", "--yes"]);
    command.env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_CONFIG_GLOBAL");
    for name in ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSH_VARIANT", "GIT_ASKPASS", "SSH_ASKPASS"] {
        command.env_remove(name);
    }
    command
}

const OVER_SSH: &str = "git+ssh://git@127.0.0.1/fleet";

#[test]
fn ssh_below_git_has_no_terminal_to_ask_on() {
    let (nats, tools) = (NatsServer::start(), Tools::new());
    let _host = host(&nats, OVER_SSH);
    let mut command = pinned(&nats, tools.0.path());
    command.env("GIT_SSH_COMMAND", tools.file("ssh"));
    let screen = Terminal::start(&command).wait_for_exit();
    assert!(!tools.file("asked").exists() && !screen.text.contains("Enter passphrase"), "{}", screen.text);
    let text = screen.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Permission denied (publickey)."), "{text}");
    assert!(text.contains("a key with a passphrase works only through an ssh agent"), "{text}");
}

#[test]
fn ssh_never_prompts() {
    let (nats, tools) = (NatsServer::start(), Tools::new());
    let _host = host(&nats, OVER_SSH);
    let (ssh, wrapper) =
        (tools.file("ssh").display().to_string(), tools.file("wrapper").display().to_string());
    let config = |text: &str| fs::write(tools.file(".gitconfig"), text).unwrap();
    let batch = |variables: &[(&str, &str)]| {
        let refused = run(pinned(&nats, tools.0.path()).envs(variables.iter().copied()), 2);
        let called = tools.called();
        assert!(!tools.file("asked").exists(), "{refused}");
        (called.contains("-o BatchMode=yes"), called)
    };
    let with_key = format!("{ssh} -i key");
    let (yes, called) = batch(&[("GIT_SSH_COMMAND", &with_key)]);
    assert!(yes && called.starts_with("-i key "), "{called}");
    assert!(batch(&[("GIT_SSH_COMMAND", &format!("A=b {ssh}"))]).0);
    assert!(batch(&[("GIT_SSH", &ssh)]).0);
    assert!(batch(&[("GIT_SSH", &wrapper)]).0);
    assert!(batch(&[("GIT_SSH_COMMAND", &wrapper)]).0);
    // A simple ssh variant gets no options.
    tools.takes_options(false);
    assert!(!batch(&[("GIT_SSH_COMMAND", &wrapper)]).0);
    assert!(!batch(&[("GIT_SSH", &wrapper)]).0);
    assert!(batch(&[("GIT_SSH", &wrapper), ("GIT_SSH_VARIANT", "ssh")]).0);
    assert!(!batch(&[("GIT_SSH_COMMAND", &ssh), ("GIT_SSH_VARIANT", "simple")]).0);
    config(&format!("[core]\nsshCommand = {ssh} -i other\n"));
    let (yes, called) = batch(&[]);
    assert!(yes && called.starts_with("-i other "), "{called}");
    // The variable takes precedence over git's configuration.
    assert!(batch(&[("GIT_SSH_COMMAND", &with_key)]).1.starts_with("-i key "));
    config(&format!("[core]\nsshCommand = {ssh}\n[ssh]\nvariant = simple\n"));
    assert!(!batch(&[]).0);
}

#[test]
fn no_askpass_program_is_called() {
    let (nats, tools) = (NatsServer::start(), Tools::new());
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    // The thread ends with the test.
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let refused = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"forge\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(refused.as_bytes());
        }
    });
    let _host = host(&nats, &format!("git+http://{address}/fleet"));
    let ask = tools.file("ask").display().to_string();
    fs::write(tools.file(".gitconfig"), format!("[core]\naskPass = {ask}\n")).unwrap();
    for name in ["GIT_ASKPASS", "SSH_ASKPASS"] {
        let refused = run(pinned(&nats, tools.0.path()).env(name, &ask).env("DISPLAY", ":9"), 2);
        assert!(!tools.file("asked").exists(), "{name}: {refused}");
        refused.assert_stderr(&["could not read Username", "terminal prompts disabled"]);
    }
}

const CHANGED: &str = "\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Add correct host key in /home/alice/.ssh/known_hosts to get rid of this message.
Host key for 127.0.0.1 has changed and you have requested strict checking.
Host key verification failed.";
const UNKNOWN: &str = "\
No ED25519 host key is known for 127.0.0.1 and you have requested strict checking.
Host key verification failed.";

#[test]
fn the_error_line_is_printed_with_advice() {
    let (nats, tools) = (NatsServer::start(), Tools::new());
    let _host = host(&nats, OVER_SSH);
    let long = format!("/srv/{}", "x".repeat(1500));
    let owned = format!(
        "fatal: detected dubious ownership in repository at '{long}'\nTo trust it, call:\n\n\tgit one\n\nor:\n\n\tgit two"
    );
    let error_for = |message: &str| {
        tools.wait_for_line(message);
        let refused = run(pinned(&nats, tools.0.path()).env("GIT_SSH_COMMAND", tools.file("ssh")), 2);
        refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    for (message, reason, advice) in [
        (
            CHANGED,
            "Host key for 127.0.0.1 has changed",
            "if it was changed on purpose, replace it there (`ssh-keygen -R HOST`",
        ),
        (
            UNKNOWN,
            "No ED25519 host key is known for 127.0.0.1",
            "add the server's key to this user's known_hosts",
        ),
        (
            &owned,
            &format!("fatal: detected dubious ownership in repository at '{long}'"),
            "--add safe.directory PATH",
        ),
    ] {
        let text = error_for(message);
        assert!(text.contains(reason) && text.contains(advice), "{text}");
    }
    assert!(!error_for(CHANGED).contains("add the server's key"));
}
