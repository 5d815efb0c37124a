//! A demo to be looked at and worked with by commands.

use crate::common::{binary, run};
use homelab_deploy::demo::{Demo, Pace};
use std::path::Path;
use std::process::{Command, Stdio};

/// A demo without a day of its own, and the console of its operator.
pub(crate) struct Show {
    runtime: tokio::runtime::Runtime,
    demo: Option<Demo>,
    folder: tempfile::TempDir,
}

impl Show {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let start = Demo::start(folder.path(), 12, Path::new(binary()), Pace::Show);
        let demo = Some(runtime.block_on(start).unwrap());
        let show = Self { runtime, demo, folder };
        crate::common::eventually("every host of the demo", || {
            let told = run(show.command().args(["hosts", "--output", "json"]), 0);
            (told.json().len() == 12).then_some(())
        });
        show
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env("HOMELAB_DEPLOY_NATS_URL", self.demo.as_ref().unwrap().url())
            .env("HOMELAB_DEPLOY_NKEY_FILE", self.folder.path().join("operator.nkey"))
            .env("HOMELAB_DEPLOY_BRANCH", "main")
            .env("XDG_STATE_HOME", self.folder.path().join("xdg"))
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("USER", "operator")
            .env("LANG", "C.UTF-8")
            .env_remove("LC_ALL")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if let Some(demo) = self.demo.take() {
            self.runtime.block_on(demo.stop()).unwrap();
        }
    }
}
