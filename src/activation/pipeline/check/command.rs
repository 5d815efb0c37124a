//! A program of the new closure that judges it: run as NixOS promises it, as root and outside the listener's restricted unit.

use crate::activation::pipeline::Run;
use crate::activation::supervised::{CommandEnd, CommandSpec, GRACE, POLL, SupervisedCommand};
use crate::activation::{Failure, JobLogTail, ProgramKind, Step, TransientUnit};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs::File;
use std::future::ready;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::{Instant, interval};

/// How long a check of the new system may take.
const LIMIT: Duration = Duration::from_mins(2);
/// How much of its output is read for the reason that it gives, in bytes.
const OUTPUT: u64 = 32 << 20;

/// How such a program ended.
pub(super) struct Ran {
    /// Its exit status.
    pub(super) status: ExitStatus,
    /// What it printed, on both outputs in their order.
    pub(super) output: String,
}

impl Run {
    /// Runs a program of the closure; its output goes into the log. Whatever it leaves in the background is not waited for.
    pub(super) async fn run_of(&self, system: &str, program: &str, argument: &str) -> Result<Ran, Failure> {
        let path = Path::new(system).join(program);
        self.say(&format!("$ {} {argument}", path.display())).await?;
        let failed = |why: String| {
            Failure::new(ErrorCode::CheckRefused, format!("{}: {why}; nothing was changed", path.display()))
        };
        let log = self.order.folder.log();
        let mut tail = JobLogTail::at_end(&log).map_err(|error| self.log_failed(&error))?;
        let from = tail.offset();
        let unit = self.host().has_systemd().then(|| {
            // One that is told to end may take a while, and the next must not have its name.
            let name = format!("homelab-deploy-check-{}-{:08x}", self.order.request.id, fastrand::u32(..));
            TransientUnit::new(&name)
                .output(&log)
                // A listener that dies leaves nothing that runs for ever.
                .property("RuntimeMaxSec", (LIMIT + 2 * GRACE).as_secs().to_string())
                .property("TimeoutStopSec", GRACE.as_secs().to_string())
        });
        let spec = CommandSpec {
            launcher: &self.pipeline.owner.program,
            unit,
            program: &path,
            arguments: &[argument],
            kind: ProgramKind::Check,
            environment: &[],
        };
        let command = SupervisedCommand::start(&self.order.folder, spec)
            .await
            .map_err(|reason| failed(format!("could not be started: {reason}")))?;
        let begun = Instant::now();
        let mut poll = interval(POLL);
        let mut behind = false;
        let end = loop {
            tokio::select! {
                _ = poll.tick() => {}
                () = ready(()), if behind => {}
                () = self.stop.cancelled() => {
                    let stopped = self.stopped(&PhaseName::Check).await;
                    command.end(GRACE).await;
                    self.pass_on(&mut tail, true).await?;
                    return Err(stopped);
                }
            }
            // Looked at first: all that it wrote is in the log once it has ended.
            let ended = command.ended();
            behind = self.pass_on(&mut tail, ended.is_some()).await?;
            if let Some(end) = ended {
                while self.pass_on(&mut tail, true).await? {}
                break end;
            }
            if begun.elapsed() >= LIMIT {
                command.end(GRACE).await;
                self.pass_on(&mut tail, true).await?;
                return Err(failed(format!("no end after {} s", LIMIT.as_secs())));
            }
        };
        match end {
            CommandEnd::WaitStatus(status) => {
                let output = part(&log, from).map_err(|error| self.log_failed(&error))?;
                Ok(Ran { status: ExitStatus::from_raw(status), output: self.pipeline.flake.mask(&output) })
            }
            CommandEnd::NotStarted(reason) => Err(failed(format!("could not be started: {reason}"))),
            CommandEnd::Lost => {
                let why = command.reason_of_systemd().await;
                let why = why.map_or_else(String::new, |why| format!(" ({why})"));
                Err(failed(format!("was killed{why}, so its exit status is not known")))
            }
        }
    }

    /// Tells some of what the log has more, and gives whether there was any.
    async fn pass_on(&self, tail: &mut JobLogTail, last: bool) -> Result<bool, Failure> {
        let mask = |_, text: String| self.pipeline.flake.mask(&text);
        let pieces = tail.read_masked(last, mask).map_err(|error| self.log_failed(&error))?;
        let any = !pieces.is_empty();
        for piece in pieces {
            self.tell(Step::Log(piece)).await;
        }
        Ok(any)
    }
}

/// What the log holds from an offset on; of very much, the end.
fn part(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(OUTPUT))))?;
    let mut bytes = Vec::new();
    file.take(OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
