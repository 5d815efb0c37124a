//! Replies with a chunk of a job's log. A separate task reads the file, so that the service does not wait for the disk.

use super::service::ListenerService;
use crate::activation::{Engine, LogChunk};
use crate::protocol::{LogReply, Query, QueryKind, QueryReply};
use std::io;
use std::path::Path;

/// Maximum number of concurrent tasks; further queries are dropped, and clients retry them.
const MAX_TASKS: usize = 64;

impl ListenerService {
    /// Replies with a chunk of the requested log, by default that of the running or newest job.
    pub(super) fn reply_with_log(&mut self, query: Query) {
        if !self.has_free_task(&query) {
            return;
        }
        let to = query.destination();
        let id = query.id.or_else(|| self.snapshot().job(None).and_then(|report| report.id.clone()));
        let running = self.running.as_ref().is_some_and(|(running, _)| Some(running) == id.as_ref());
        let path = id.as_ref().map(|id| self.store.job(id).log());
        let offset = query.offset.unwrap_or(0);
        let hostname = self.config.hostname.clone();
        let (engine, reporter) = (self.engine.clone(), self.reporter.clone());
        self.runtime.deliveries.spawn(async move {
            let read = move || path.and_then(|path| read_log(&path, offset, running, &*engine));
            let chunk = tokio::task::spawn_blocking(read).await.ok().flatten();
            let eof = chunk.as_ref().is_none_or(|chunk| chunk.eof);
            let (offset, text) = chunk.map(|chunk| (chunk.offset, chunk.text)).unzip();
            let reply = LogReply { query: QueryKind::Log, id, hostname, offset, text, eof, running };
            reporter.send_reply(&to, &QueryReply::Log(reply)).await;
            Vec::new()
        });
    }

    /// Whether one more task may read files for a reply.
    pub(super) fn has_free_task(&self, query: &Query) -> bool {
        let is_free = self.runtime.deliveries.len() < MAX_TASKS;
        if !is_free {
            let kind = query.kind();
            tracing::debug!(reply_to = %query.reply_to, query = %kind, "too many concurrent queries: dropped one");
        }
        is_free
    }
}

/// Reads a chunk of a log; `None` if there is none. A job that has just started may have an empty log.
fn read_log(path: &Path, offset: u64, running: bool, engine: &dyn Engine) -> Option<LogChunk> {
    match LogChunk::read(path, offset, running, |text| engine.mask(text)) {
        Ok(chunk) => Some(chunk),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            running.then(|| LogChunk { offset: 0, text: String::new(), eof: true })
        }
        Err(error) => {
            tracing::warn!(log = %path.display(), %error, "failed to read the log of a job");
            None
        }
    }
}
