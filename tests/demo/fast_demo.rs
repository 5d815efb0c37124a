//! A demo in process, for tests that run commands against it.

use crate::common::{binary, run};
use homelab_deploy::demo::{Demo, DemoPace};
use std::path::Path;
use std::process::{Command, Stdio};

/// A demo without background activity, and commands of its operator.
pub(crate) struct FastDemo {
    runtime: tokio::runtime::Runtime,
    demo: Option<Demo>,
    directory: tempfile::TempDir,
}

impl FastDemo {
    pub(crate) fn open() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap())
    }

    pub(crate) fn in_directory(directory: tempfile::TempDir) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Demo::start(directory.path(), 12, Path::new(binary()), DemoPace::Fast, |_| {});
        let demo = Some(runtime.block_on(start).unwrap());
        let demo = Self { runtime, demo, directory };
        crate::common::eventually("every host of the demo", || {
            let hosts = run(demo.command().args(["hosts", "--output", "json"]), 0);
            (hosts.json().len() == 12).then_some(())
        });
        demo
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env("HOMELAB_DEPLOY_NATS_URL", self.demo.as_ref().unwrap().url())
            .env("HOMELAB_DEPLOY_NKEY_FILE", self.directory.path().join("operator.nkey"))
            .env("HOMELAB_DEPLOY_BRANCH", "main")
            .env("XDG_STATE_HOME", self.directory.path().join("xdg"))
            .env("XDG_CACHE_HOME", self.directory.path().join("cache"))
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"))
            .env("USER", "operator")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for FastDemo {
    fn drop(&mut self) {
        if let Some(demo) = self.demo.take() {
            self.runtime.block_on(demo.stop()).unwrap();
        }
    }
}
