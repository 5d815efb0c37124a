//! Runs a check program of the new closure. NixOS expects it to run as root and outside the listener's restricted unit.

use crate::activation::pipeline::PipelineRun;
use crate::activation::supervised_command::{
    CommandEnd, CommandSpec, GRACE_PERIOD, POLL_INTERVAL, SupervisedCommand,
};
use crate::activation::{JobEvent, JobFailure, JobLogTail, ProgramKind, TransientUnit};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs::File;
use std::future::ready;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// Time limit of a check of the new system.
const TIMEOUT: Duration = Duration::from_mins(2);
/// How many bytes of its output are searched for the reason of a refusal.
const MAX_OUTPUT: u64 = 32 << 20;

/// The result of a check program.
pub(super) struct ProgramResult {
    pub(super) status: ExitStatus,
    /// Both outputs in their order, with secrets masked.
    pub(super) output: String,
}

impl PipelineRun {
    /// Runs a program of the closure, with its output in the log. Does not wait for processes that the program leaves
    /// in the background.
    pub(super) async fn run_program(
        &self,
        system: &str,
        program: &str,
        argument: &str,
    ) -> Result<ProgramResult, JobFailure> {
        let path = Path::new(system).join(program);
        self.log_line(&format!("$ {} {argument}", path.display())).await?;
        let failed = |why: String| {
            JobFailure::new(
                ErrorCode::CheckRefused,
                format!("{}: {why}; nothing was changed", path.display()),
            )
        };
        let log = self.job.dir.log();
        let mut tail = JobLogTail::at_end(&log).map_err(|error| self.log_failed(&error))?;
        let from = tail.offset();
        let unit = self.host().has_systemd().then(|| {
            // A stopped unit may take a while to end, so each unit gets a unique name.
            let name = format!("homelab-deploy-check-{}-{:08x}", self.job.request.id, fastrand::u32(..));
            TransientUnit::new(&name)
                .output(&log)
                // The limit ends the program even if the listener dies.
                .property("RuntimeMaxSec", (TIMEOUT + 2 * GRACE_PERIOD).as_secs().to_string())
                .property("TimeoutStopSec", GRACE_PERIOD.as_secs().to_string())
        });
        let spec = CommandSpec {
            supervisor: &self.pipeline.spawner.program,
            unit,
            program: &path,
            arguments: &[argument],
            kind: ProgramKind::Check,
            environment: &[],
        };
        let command = SupervisedCommand::start(&self.job.dir, spec)
            .await
            .map_err(|reason| failed(format!("could not be started: {reason}")))?;
        let started_at = Instant::now();
        let mut poll = interval(POLL_INTERVAL);
        let mut has_more = false;
        let end = loop {
            tokio::select! {
                _ = poll.tick() => {}
                () = ready(()), if has_more => {}
                () = self.stop.cancelled() => {
                    let stopped = self.stopped(&PhaseName::Check).await;
                    command.end(GRACE_PERIOD).await;
                    self.forward_log(&mut tail, true).await?;
                    return Err(stopped);
                }
            }
            // The end is checked before reading, so that the log already holds all output if the program has ended.
            let ended = command.ended();
            has_more = self.forward_log(&mut tail, ended.is_some()).await?;
            if let Some(end) = ended {
                while self.forward_log(&mut tail, true).await? {}
                break end;
            }
            if started_at.elapsed() >= TIMEOUT {
                command.end(GRACE_PERIOD).await;
                self.forward_log(&mut tail, true).await?;
                return Err(failed(format!("did not finish within {} s", TIMEOUT.as_secs())));
            }
        };
        match end {
            CommandEnd::WaitStatus(status) => {
                let output = read_from(&log, from).map_err(|error| self.log_failed(&error))?;
                Ok(ProgramResult {
                    status: ExitStatus::from_raw(status),
                    output: self.pipeline.flake.mask(&output),
                })
            }
            CommandEnd::NotStarted(reason) => Err(failed(format!("could not be started: {reason}"))),
            CommandEnd::Lost => {
                let why = command.systemd_reason().await;
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                Err(failed(format!("was killed{why}, so its exit status is unknown")))
            }
        }
    }

    /// Publishes some of the new output, and returns whether there was any.
    async fn forward_log(&self, tail: &mut JobLogTail, last: bool) -> Result<bool, JobFailure> {
        let mask = |_, text: String| self.pipeline.flake.mask(&text);
        let pieces = tail.read_masked(last, mask).map_err(|error| self.log_failed(&error))?;
        let any = !pieces.is_empty();
        for piece in pieces {
            self.send_event(JobEvent::Log(piece)).await;
        }
        Ok(any)
    }
}

/// Reads the log from an offset on; of a longer log, only the end.
fn read_from(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(MAX_OUTPUT))))?;
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
