//! Follows a deployment for as long as the call lasts.

use super::error::ToolError;
use super::progress::Progress;
use crate::deployer::{Follow, Update};
use crate::protocol::printable;
use rmcp::RoleServer;
use rmcp::service::RequestContext;

/// Follows to the verdicts, or until the patience ends; gives what else there is to know. Where the call is cancelled
/// only the following ends.
pub(super) async fn to_the_end(
    follow: &mut Follow,
    context: &RequestContext<RoleServer>,
) -> Result<Vec<String>, ToolError> {
    let (mut progress, mut notes) = (Progress::new(follow, context), Vec::new());
    // Said now: a call that is cancelled is told nothing more.
    let id = &follow.plan().id;
    progress.say(format!("following deployment {id}; whatever becomes of this call, the hosts go on")).await;
    loop {
        let update = tokio::select! {
            update = follow.next() => update,
            // Nobody waits for progress of this call any more.
            () = context.ct.cancelled() => {
                let id = &follow.plan().id;
                return Err(ToolError::new(format!(
                    "no longer followed; what runs on the hosts goes on, host_status shows it (deployment {id})"
                )));
            }
        };
        let update = update.transpose().map_err(|error| {
            let (error, id) = (ToolError::from(error), &follow.plan().id);
            ToolError::new(format!("{error} (deployment {id}; host_status shows what became of it)"))
        })?;
        let Some(update) = update else { return Ok(notes) };
        progress.tell(&update).await;
        if let Update::Note(note) | Update::Again { note, .. } = update {
            notes.push(printable(&note));
        }
    }
}
