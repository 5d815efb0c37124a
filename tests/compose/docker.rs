//! The typed calls of docker and Compose.

use crate::common::{Gate, TestDir, eventually};
use crate::daemon::Daemon;
use homelab_deploy::compose::{ChangeLock, Docker, ImagePins, Project};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// A work tree with one service, and a program that calls docker with the environment of a daemon.
struct Calls {
    daemon: Daemon,
    dir: TestDir,
    docker: Docker,
    runtime: tokio::runtime::Runtime,
}

impl Calls {
    fn start(compose: &str) -> Option<Self> {
        let daemon = Daemon::start()?;
        let dir = TestDir::new();
        fs::create_dir_all(dir.path().join("services/web")).unwrap();
        fs::create_dir_all(dir.path().join("config/web")).unwrap();
        fs::write(dir.path().join("services/web/docker-compose.yml"), compose).unwrap();
        let export = |(name, value)| format!("export {name}={value}\n");
        let exports = daemon.environment().into_iter().map(export).collect::<Vec<_>>().concat();
        let program = script(dir.path(), "docker", &format!("{exports}exec docker \"$@\"\n"));
        let docker = format!("{program} compose").parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Some(Self { daemon, dir, docker, runtime })
    }

    fn project(&self) -> Project {
        Project::new("web", self.dir.path(), &self.dir.path().join("config"))
    }

    fn change(&self, project: &Project, arguments: &[&str]) -> homelab_deploy::compose::ChangeEnd {
        let (lock, output) = (self.dir.path().join("lock"), self.dir.path().join("output"));
        self.runtime.block_on(async {
            let lock = ChangeLock::acquire(&lock).await.unwrap();
            let command = self.docker.change(project, arguments);
            command.run(lock, &output, Duration::from_mins(1), |_| {}).await
        })
    }

    fn up(&self, project: &Project) -> homelab_deploy::compose::ChangeEnd {
        self.change(project, &["up", "--detach", "--remove-orphans", "--pull", "never"])
    }
}

fn script(dir: &Path, name: &str, body: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

const SLEEP: &str = "services:\n  app:\n    image: bb:1\n    init: true\n    network_mode: none\n    command: [sleep, '1000']\n";

#[test]
fn hashes_equal_the_labels_and_a_pin_is_an_image_id() {
    let Some(calls) = Calls::start(SLEEP) else { return };
    let project = calls.project();
    assert!(calls.up(&project).error.is_none());
    let containers = |calls: &Calls| calls.runtime.block_on(calls.docker.containers("web")).unwrap();
    let before = containers(&calls).remove(0);
    let hashes = calls.runtime.block_on(calls.docker.hashes(&project)).unwrap();
    assert_eq!(before.config_hash.as_ref(), hashes.get("app"));
    assert_eq!((before.service.as_str(), before.number, before.is_running()), ("app", 1, true));

    // The tag moves, and the pin still names the old image.
    let moved = calls.daemon.import("bb:1");
    assert_ne!(moved, before.image);
    assert_eq!(calls.runtime.block_on(calls.docker.image_id("bb:1")).unwrap(), Some(moved.clone()));
    assert!(calls.up(&project).error.is_none());
    assert_eq!(containers(&calls)[0].image, moved);
    let pins = calls.dir.path().join("pins.yml");
    ImagePins([("app".to_owned(), before.image.clone())].into()).write(&pins).unwrap();
    assert!(calls.up(&project.with_pins(Some(pins))).error.is_none());
    assert_eq!(containers(&calls)[0].image, before.image);
    assert_eq!(calls.runtime.block_on(calls.docker.image_id("missing:1")).unwrap(), None);
}

#[test]
fn a_leftover_of_a_killed_compose_is_removed_and_then_up_works() {
    let Some(calls) = Calls::start(SLEEP) else { return };
    let project = calls.project();
    assert!(calls.up(&project).error.is_none());
    let leave_behind = |seconds: &str| {
        let name = calls.daemon.leave_behind("web");
        fs::write(project.compose_file(), SLEEP.replace("1000", seconds)).unwrap();
        name
    };
    leave_behind("2000");
    // Without the removal, Compose fails unless it replaces the leftover first, and succeeds the second time.
    let first = calls.up(&project);
    assert!(first.error.is_none() || first.is_conflict(), "{first:?}");
    assert!(calls.up(&project).error.is_none());
    let name = leave_behind("3000");
    let removed = calls.runtime.block_on(calls.docker.remove_leftovers("web")).unwrap();
    assert_eq!(removed, [name]);
    let up = calls.up(&project);
    assert!(up.error.is_none(), "{up:?}");
    let containers = calls.runtime.block_on(calls.docker.containers("web")).unwrap();
    assert_eq!(containers.iter().map(|container| container.name.as_str()).collect::<Vec<_>>(), ["web-app-1"]);
}

#[test]
fn files_of_the_host_are_used_and_a_missing_variable_is_named() {
    let Some(calls) = Calls::start(&format!("{SLEEP}    environment: {{ A: '${{TOKEN:?set TOKEN}}' }}\n"))
    else {
        return;
    };
    let check = |project: &Project| calls.runtime.block_on(calls.docker.config(project)).map(drop);
    let missing = check(&calls.project()).unwrap_err().to_string();
    assert!(missing.contains("required variable TOKEN is missing a value: set TOKEN"), "{missing}");
    let config = calls.dir.path().join("config/web");
    fs::write(config.join(".env"), "TOKEN=of-the-host\n").unwrap();
    fs::write(
        config.join("docker-compose.override.yml"),
        "services:\n  app:\n    ports: ['127.0.0.1:8080:80']\n    network_mode: bridge\n",
    )
    .unwrap();
    check(&calls.project()).unwrap();
    let config = calls.runtime.block_on(calls.docker.config(&calls.project())).unwrap();
    assert_eq!(config.services["app"].ports()[0].published(), Some((8080, 8080)));
    fs::write(calls.project().compose_file(), "services:\n  app: [\n").unwrap();
    let broken = check(&calls.project()).unwrap_err().to_string();
    assert!(broken.contains("yaml: line 2"), "{broken}");
}

#[test]
fn an_old_compose_and_a_dead_daemon_are_named() {
    let Some(mut calls) = Calls::start(SLEEP) else { return };
    let version = calls.runtime.block_on(calls.docker.compose_version()).unwrap();
    assert!(version.starts_with(|c: char| ('2'..='9').contains(&c)), "{version}");
    let old = script(calls.dir.path(), "docker-compose", "echo 1.29.2\n").parse::<Docker>().unwrap();
    let error = calls.runtime.block_on(old.compose_version()).unwrap_err().to_string();
    assert!(error.contains("is version 1.29.2; expected Docker Compose 2 or newer"), "{error}");
    let missing = "no-such-program compose".parse::<Docker>().unwrap();
    let error = calls.runtime.block_on(missing.version()).unwrap_err().to_string();
    assert_eq!(error, "no-such-program is not installed here; put it on the service's PATH");
    calls.daemon.kill();
    let away = calls.runtime.block_on(calls.docker.version()).unwrap_err();
    assert!(away.is_daemon_away(), "{away}");
    let failed = calls.up(&calls.project());
    assert!(failed.error.is_some_and(|error| error.is_daemon_away()));
    calls.daemon.restart();
    calls.runtime.block_on(calls.docker.version()).unwrap();
}

#[test]
fn a_command_holds_the_lock_after_the_caller_has_gone() {
    let dir = TestDir::new();
    let (lock, output) = (dir.path().join("lock"), dir.path().join("output"));
    let (started, gate) = (dir.path().join("started"), Gate::at(dir.path().join("gate")));
    mkfifoat(CWD, &started, Mode::RWXU).unwrap();
    let body = format!("cd {}; echo >started; read go <gate; echo done", dir.path().display());
    let docker: Docker = script(dir.path(), "docker-compose", &body).parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let project = Project::new("web", dir.path(), dir.path());
    runtime.block_on(async {
        let taken = ChangeLock::acquire(&lock).await.unwrap();
        let run = docker.change(&project, &["up"]).run(taken, &output, Duration::from_mins(1), |_| {});
        // The caller stops waiting, as a killed listener does.
        let mut started = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&started).unwrap();
        tokio::select! {
            end = run => panic!("ended early: {end:?}"),
            read = started.read_u8() => assert_eq!(read.unwrap(), b'\n'),
        }
    });
    assert!(ChangeLock::is_held(&lock).unwrap());
    gate.pass();
    eventually("the end of the command", || (!ChangeLock::is_held(&lock).unwrap()).then_some(()));
    assert_eq!(fs::read_to_string(&output).unwrap(), "done\n");
}
