//! Answers with a part of a job's log, in a task of its own: the file is read where nobody waits for it.

use super::service::Service;
use crate::activation::{Engine, LogPart};
use crate::protocol::{Answer, Ask, LogAnswer, Want};
use std::io;
use std::path::Path;

/// How many tasks may be at work before a question is let go; whoever asked asks again.
const MAX_TASKS: usize = 64;

impl Service {
    /// Answers with a part of the log that is asked for, or else of the running or the newest job.
    pub(super) fn answer_log(&mut self, ask: Ask) {
        if !self.can_look_up(&ask) {
            return;
        }
        let to = ask.destination();
        let id = ask.id.or_else(|| self.view().job(None).and_then(|report| report.id.clone()));
        let running = self.running.as_ref().is_some_and(|(running, _)| Some(running) == id.as_ref());
        let path = id.as_ref().map(|id| self.store.job(id).log());
        let offset = ask.offset.unwrap_or(0);
        let hostname = self.config.hostname.clone();
        let (engine, reporter) = (self.engine.clone(), self.reporter.clone());
        self.deliveries.spawn(async move {
            let read = move || path.and_then(|path| read(&path, offset, running, &*engine));
            let part = tokio::task::spawn_blocking(read).await.ok().flatten();
            let eof = part.as_ref().is_none_or(|part| part.eof);
            let (offset, text) = part.map(|part| (part.offset, part.text)).unzip();
            let answer = LogAnswer { want: Want::Log, id, hostname, offset, text, eof, running };
            reporter.answer(&to, &Answer::Log(answer)).await;
            Vec::new()
        });
    }

    /// Whether there is room for one more task that reads files for an answer.
    pub(super) fn can_look_up(&self, ask: &Ask) -> bool {
        let room = self.deliveries.len() < MAX_TASKS;
        if !room {
            let want = ask.wanted();
            tracing::debug!(reply_to = %ask.reply_to, %want, "too many questions at once; let one go");
        }
        room
    }
}

/// Reads from a log; `None` where none is kept. A job that has only begun may not have written to it yet.
fn read(path: &Path, offset: u64, running: bool, engine: &dyn Engine) -> Option<LogPart> {
    match LogPart::read(path, offset, running, |text| engine.mask(text)) {
        Ok(part) => Some(part),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            running.then(|| LogPart { offset: 0, text: String::new(), eof: true })
        }
        Err(error) => {
            tracing::warn!(log = %path.display(), %error, "could not read the log of a job");
            None
        }
    }
}
