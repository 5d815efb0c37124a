//! The events that the console receives and the effects that it returns.

use super::effects::HandoverResult;
use super::{EventFeed, ViewState};
use crate::client::{BatchStarted, DeploymentSummary, LogEvent, Plan, Reply};
use crate::fleet::{BranchHeads, CommitQuery, FleetCommits, Host};
use crate::nats::PermissionViolation;
use crate::protocol::{
    BuildReport, DeployReport, HistoryEntry, Id, Inbound, Name, Revision, RolloutCommand, RolloutControl,
    RolloutStatus, WireError,
};
use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use ratatui::layout::Size;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// An input of [`update()`](super::update()).
#[derive(Debug)]
pub enum ConsoleEvent {
    /// A key was pressed.
    Key(KeyEvent),
    /// A mouse button was clicked or the wheel was turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize(Size),
    /// The current time, about once a second.
    Clock(Timestamp),
    /// A frame is about to be drawn: update the cached state.
    Frame,
    /// Messages that arrived at this time, in order of arrival.
    Messages(Vec<Result<Inbound, WireError>>, Timestamp),
    /// The builder's report on a build, and when it arrived.
    Build(Id, Box<BuildReport>, Timestamp),
    /// The server denies this key the reports of the builder.
    BuildsDenied,
    /// A rollout has a new status.
    Rollout(Box<RolloutStatus>),
    /// The server denies this key a subject of rollouts.
    RolloutsDenied(PermissionViolation),
    /// This console continues an interrupted rollout, or cannot.
    Resumed(Id, Result<Box<ResumedRollout>, String>),
    /// The result of each rollout that another process was to take over.
    HandedOver(Vec<(Id, HandoverResult)>),
    /// The connection state has changed.
    Connection(ConnectionStatus),
    /// Round-trip time of a ping to the server, and when the answer arrived.
    RoundTrip(Duration, Timestamp),
    /// The server denied a publish or a subscription.
    PermissionDenied(PermissionViolation),
    /// A deployment of this console has made progress.
    SentDeployment(Id, SentDeploymentEvent),
    /// Result of a lookup of branch heads.
    Heads(BranchHeads),
    /// Commits of a flake, as requested by [`Effect::Commits`].
    Commits(FleetCommits),
    /// Result of [`Effect::CheckRevision`]: why the revision does not exist; `None` if it does, or may.
    RevisionChecked(Revision, Option<String>),
    /// An event of the log in the detail pane.
    Log(LogKey, LogEvent),
    /// The reply of a host to the history query, or why the query failed.
    History(Name, Result<Reply<Vec<HistoryEntry>>, String>),
    /// The histories that hosts returned, for the durations of their jobs.
    Durations(Vec<(Name, Vec<HistoryEntry>)>),
    /// The program in the terminal has ended; the error says why it failed.
    Shell(Result<(), String>),
    /// An event of the log that is read from its first byte.
    FullLog {
        /// The log.
        key: LogKey,
        /// What was received.
        event: LogEvent,
        /// Length of the stored log in bytes when following started, if known; text after it is live.
        stored_len: Option<u64>,
    },
    /// An event of one of several logs that are followed together.
    HostLog(LogKey, LogEvent),
    /// The reply about the job of a log; `None` if the host did not return one.
    Job(LogKey, Option<Arc<DeployReport>>),
    /// A log was saved, or not; in both cases the message for the operator.
    Saved(Result<String, String>),
    /// An error that the console cannot handle; it is shown in a dialog.
    Error(ErrorDialog),
}

/// An action outside of the state, returned by [`update()`](super::update()).
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this plan and follow it.
    Send(Box<Plan>),
    /// Send this command to a rollout of this console.
    LocalControl(Id, RolloutCommand),
    /// Publish this command to a rollout of another process.
    Control(RolloutControl),
    /// Continue this interrupted rollout.
    ResumeRollout(Id),
    /// Remove the saved state of this interrupted rollout.
    DiscardRollout(Id),
    /// Let other processes take over the rollouts of this console.
    HandOver,
    /// Follow the end of this log, and stop following any other.
    Log(Option<LogKey>),
    /// Look up the head of this branch in these flakes.
    Heads(BTreeSet<String>, Revision),
    /// Read the commits between what hosts run and the heads of their branch. Each flake gets an event.
    Commits(Box<CommitQuery>),
    /// Check whether this revision exists in these flakes.
    CheckRevision(BTreeSet<String>, Revision),
    /// Save the view state.
    SaveViewState(ViewState),
    /// Save the event feed.
    SaveFeed(Box<EventFeed>),
    /// Tell the operator in a notification of the terminal.
    Notify(String),
    /// Copy this text to the clipboard.
    Copy(String),
    /// Query this host for its history and for its job with diagnostics, and abort the previous query.
    History(Name),
    /// Query these hosts for the durations of their last jobs.
    Durations(BTreeSet<Name>),
    /// Run this shell command in the terminal.
    Shell(String),
    /// Follow this log from its first byte, and stop following any other.
    FullLog(LogKey),
    /// Follow these logs together, and stop following any other.
    FullLogs(Vec<LogKey>),
    /// Query the job of this log, with its diagnostics.
    Job(LogKey),
    /// Save a log to a file.
    SaveLog(Box<LogFile>),
    /// Redraw the whole screen.
    Redraw,
    /// Restore the terminal and stop until a SIGCONT arrives.
    Suspend,
    /// End the console and start it with another context.
    SwitchContext(String),
    /// End the console.
    Quit,
}

/// Identifies a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// Host that ran the job.
    pub host: Name,
    /// Id of the job.
    pub job: Id,
}

/// A log to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// The file. If it exists, a number is added to its name.
    pub path: PathBuf,
    /// Contents, as received.
    pub text: String,
    /// Number of lines that are missing at the beginning.
    pub dropped_lines: u64,
}

impl LogKey {
    /// The log of the host's running job, or else of its last job.
    pub(super) fn of(host: &Host) -> Option<Self> {
        // A host without an instance uses the base format, which has no logs.
        let job = host.job.as_ref().filter(|job| job.instance.is_some())?;
        Some(Self { host: host.name.clone(), job: job.id.clone()? })
    }
}

/// Connection to the NATS server, with wall-clock times.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionStatus {
    /// Whether the connection is up.
    pub up: bool,
    /// Number of connections that were made so far.
    pub connects: u64,
    /// Why the connection is down.
    pub reason: Option<String>,
    /// Time of the next attempt.
    pub next_try: Option<Timestamp>,
    /// How often messages were dropped because the console read too slowly.
    pub dropped: u64,
}

/// An interrupted rollout that this console continues.
#[derive(Debug)]
pub struct ResumedRollout {
    /// The plan, with the batches that were sent.
    pub plan: Plan,
    /// Hosts that received the request again under another id.
    pub resent: BTreeMap<Name, Id>,
}

/// Progress of a deployment of this console.
#[derive(Debug)]
pub enum SentDeploymentEvent {
    /// The rollout has a new status.
    Rollout(Box<RolloutStatus>),
    /// Another process has taken it over.
    HandedOver,
    /// A message for the operator.
    Note(String),
    /// The request was sent to this host again under a new id, because its clock is wrong; with a message.
    Resent(Name, Id, String),
    /// A batch was sent.
    BatchSent(BatchStarted),
    /// All hosts have a result or timed out, or no further batch is sent.
    Finished(DeploymentSummary),
    /// The deployment was not sent or can no longer be followed; says why.
    Failed(String),
}

/// Contents of an error dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDialog {
    /// What failed.
    pub title: String,
    /// The reason and the next step.
    pub text: String,
}
