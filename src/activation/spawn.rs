//! Starts the worker so that it survives the listener: in a separate transient unit, or detached in a separate session.

use super::transient_unit::TransientUnit;
use super::{HostPaths, Systemd};
use crate::atomic_file::preallocate;
use crate::jobs::{ActivationLock, JobDir};
use crate::private_file;
use crate::protocol::Id;
use crate::unattended;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that are preallocated for the log, so that it can be written even if the disk is full.
const LOG_RESERVE: u64 = 1 << 20;

/// Starts workers on this host.
#[derive(Debug, Clone)]
pub struct WorkerSpawner {
    /// Our own executable.
    pub program: PathBuf,
    /// The listener's state directory, which contains the jobs.
    pub state_dir: PathBuf,
    /// The host that is changed.
    pub host: HostPaths,
}

impl WorkerSpawner {
    /// Name of the unit of a job's worker, without the suffix `.service`.
    pub fn unit(id: &Id) -> String {
        format!("homelab-deploy-activation-{id}")
    }

    /// Starts a worker for a job that was handed over. With `recover`, it recovers a job whose worker has died.
    pub async fn start(&self, id: &Id, recover: bool) -> io::Result<()> {
        let job_dir = self.job_dir(id);
        let log = private_file::open_options().append(true).open(job_dir.log());
        // A recovery must start even if the log cannot be written.
        let log =
            if recover { log.or_else(|_| OpenOptions::new().write(true).open("/dev/null")) } else { log }?;
        preallocate(&log, LOG_RESERVE);
        if !recover {
            job_dir.reserve()?;
        }
        let started = if self.host.has_systemd() {
            self.start_unit(id, recover).await
        } else {
            self.start_detached(id, recover, log)
        };
        if started.is_err() {
            job_dir.trim_log();
        }
        started
    }

    /// Starts a recovery for a job whose worker has ended without a result. The worker's unit calls this when it stops.
    pub async fn recover(&self, id: &Id) -> io::Result<()> {
        // A recovery needs a readable record; and if one is running already, no other is needed.
        let is_open = self.job_dir(id).record().is_ok_and(|record| !record.is_final());
        let is_locked = ActivationLock::is_held(&self.state_dir).unwrap_or(false);
        // If the host is shutting down, the listener of the next boot reports the job.
        if !is_open || is_locked || Systemd::new(self.host.has_systemd()).is_stopping().await {
            return Ok(());
        }
        self.start(id, true).await
    }

    /// The directory of a job on this host.
    pub fn job_dir(&self, id: &Id) -> JobDir {
        JobDir::new(&self.state_dir, id).with_runtime(&self.host.runtime_dir())
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

    async fn start_unit(&self, id: &Id, recover: bool) -> io::Result<()> {
        // Each recovery gets a unique name, because the unit of an earlier one may still exist.
        let name =
            if recover { format!("{}-{:08x}", Self::unit(id), fastrand::u32(..)) } else { Self::unit(id) };
        // The output of the worker goes to the journal, because systemd does not start a unit whose log file it cannot
        // open.
        let unit = TransientUnit::new(&name).stop_post(&self.program, &self.arguments(&["recover"], id));
        unit.start(&self.program, &self.arguments(run_arguments(recover), id)).await.map_err(io::Error::other)
    }

    fn start_detached(&self, id: &Id, recover: bool, log: File) -> io::Result<()> {
        let mut command = unattended::command(&self.program);
        command
            .args(["activation", "exec"])
            .arg(&self.program)
            .args(self.arguments(run_arguments(recover), id));
        command.current_dir("/").stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn()?;
        // Reaps the child if it ends before this process.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }
}

/// Arguments that make the executable run as the worker.
fn run_arguments(recover: bool) -> &'static [&'static str] {
    if recover { &["run", "--recover"] } else { &["run"] }
}
