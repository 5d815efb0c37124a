//! A real nix-daemon that does not allow this user.

use crate::common::eventually;
use crate::stage::{GOOD, Stage};
use std::process::{Child, Command, Stdio};

/// A daemon, killed on drop.
struct Daemon(Child);

impl Daemon {
    fn start(stage: &Stage, configuration: &str) -> Self {
        let socket = stage.path("var/daemon-socket/socket");
        let mut daemon = stage.environment(Command::new("nix-daemon"));
        daemon.arg("--daemon").env("NIX_CONFIG", configuration).stderr(Stdio::null());
        let daemon = Self(daemon.spawn().unwrap());
        eventually("a socket of nix-daemon", || socket.exists().then_some(()));
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_user_refused_by_the_daemon_gets_advice() {
    let stage = Stage::new(GOOD);
    let settings =
        "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false\nbuild-users-group =\n";
    let update = || {
        let mut update = stage.update();
        update.arg("--dry-run").env("NIX_REMOTE", "daemon");
        update
    };
    {
        let _daemon = Daemon::start(&stage, &format!("{settings}trusted-users =\nallowed-users = other\n"));
        stage.wait_for_exit(&mut update(), 2).assert_stderr(&[
            "could not update the inputs",
            "nix-daemon closes the connection of a user that it does not allow",
            "add the user of this service to allowed-users in its settings",
        ]);
    }
    std::fs::remove_file(stage.path("var/daemon-socket/socket")).unwrap();
    let _daemon = Daemon::start(&stage, settings);
    stage.wait_for_exit(&mut update(), 0);
}
