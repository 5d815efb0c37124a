//! Starts the activation program so that nothing takes it along: in a unit of its own, or detached in a session of its own.

use super::transient_unit::TransientUnit;
use super::{HostPaths, ServiceManager};
use crate::durable::reserve;
use crate::jobs::{ActivationLock, JobFolder};
use crate::private;
use crate::protocol::Id;
use crate::unattended;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Room that is set aside for the log, so that it can be written on a full disk too.
const SET_ASIDE: u64 = 1 << 20;
/// How to start the activation program on this host.
#[derive(Debug, Clone)]
pub struct Owner {
    /// Our own executable.
    pub program: PathBuf,
    /// Where jobs are kept.
    pub state_dir: PathBuf,
    /// The host.
    pub host: HostPaths,
}

impl Owner {
    /// The unit of a job's activation.
    pub fn unit(id: &Id) -> String {
        format!("homelab-deploy-activation-{id}")
    }

    /// Starts it for a job that was handed over; with `recover`, for one whose owner has died.
    pub async fn start(&self, id: &Id, recover: bool) -> io::Result<()> {
        let folder = self.folder(id);
        let log = private::options().append(true).open(folder.log());
        // A recovery must begin also where no log can be written.
        let log =
            if recover { log.or_else(|_| OpenOptions::new().write(true).open("/dev/null")) } else { log }?;
        reserve(&log, SET_ASIDE);
        if !recover {
            folder.reserve()?;
        }
        let started = if self.host.has_systemd() {
            self.in_unit(id, recover).await
        } else {
            self.detached(id, recover, log)
        };
        if started.is_err() {
            folder.trim_log();
        }
        started
    }

    /// Starts a recovery for a job whose worker has ended without its result; called as its unit stops.
    pub async fn recover(&self, id: &Id) -> io::Result<()> {
        // A record that cannot be read is of no use to a recovery either, and one that is at work needs no other.
        let is_open = self.folder(id).record().is_ok_and(|record| !record.is_final());
        let is_owned = ActivationLock::is_held(&self.state_dir).unwrap_or(false);
        // What was begun ends with this boot; the listener of the next one reports how.
        if !is_open || is_owned || ServiceManager::new(self.host.has_systemd()).is_stopping().await {
            return Ok(());
        }
        self.start(id, true).await
    }

    /// The folder of a job on this host.
    pub fn folder(&self, id: &Id) -> JobFolder {
        JobFolder::new(&self.state_dir, id).with_runtime(&self.host.runtime_dir())
    }

    fn arguments(&self, command: &[&str], id: &Id) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["activation".into()];
        arguments.extend(command.iter().map(OsString::from));
        arguments.extend(["--state-dir".into(), self.state_dir.clone().into_os_string()]);
        if self.host.root != Path::new("/") {
            arguments.extend(["--root".into(), self.host.root.clone().into_os_string()]);
        }
        arguments.push(id.as_str().into());
        arguments
    }

    async fn in_unit(&self, id: &Id, recover: bool) -> io::Result<()> {
        // Two attempts to recover must not ask for the same name.
        let name =
            if recover { format!("{}-{:08x}", Self::unit(id), fastrand::u32(..)) } else { Self::unit(id) };
        // Its words go to the journal: systemd runs nothing of a unit, nor what follows it, if it cannot open a log of its own.
        let unit = TransientUnit::new(&name).stop_post(&self.program, &self.arguments(&["recover"], id));
        unit.start(&self.program, &self.arguments(run(recover), id)).await.map_err(io::Error::other)
    }

    fn detached(&self, id: &Id, recover: bool, log: File) -> io::Result<()> {
        let mut command = unattended::command(&self.program);
        command.args(["activation", "launch"]).arg(&self.program).args(self.arguments(run(recover), id));
        command.current_dir("/").stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn()?;
        // So that it leaves no zombie where it ends before us.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }
}

/// The command of the program that does the work.
fn run(recover: bool) -> &'static [&'static str] {
    if recover { &["run", "--recover"] } else { &["run"] }
}
