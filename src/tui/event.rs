//! All that comes in, and all that goes out.

use super::Memory;
use crate::bus::Refusal;
use crate::deployer::{LogNews, Outcome, Plan, Told, WaveNews};
use crate::fleet::{Heads, Host};
use crate::protocol::{BuildReport, DeployReport, HistoryEntry, Id, Inbound, Name, Revision, WireError};
use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;
use ratatui::layout::Size;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked or its wheel turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size.
    Resize(Size),
    /// The time, about once a second.
    Clock(Timestamp),
    /// A frame is about to be drawn: what is cached for it is brought up to date.
    Frame,
    /// Messages that arrived at this time, in the order they came.
    Messages(Vec<Result<Inbound, WireError>>, Timestamp),
    /// The builder reported this at this time.
    Build(Id, Box<BuildReport>, Timestamp),
    /// The server lets this key hear nothing of builds.
    NoBuilds,
    /// The state of the link.
    Link(LinkState),
    /// The server has answered a ping in this time.
    RoundTrip(Duration),
    /// The server refused a subject.
    Refused(Refusal),
    /// News of a deployment of ours.
    Order(Id, OrderNews),
    /// The heads that were looked up.
    Heads(Heads),
    /// News of a log.
    Log(LogKey, LogNews),
    /// What a host told of its past, or why it could not be asked.
    History(Name, Result<Told<Vec<HistoryEntry>>, String>),
    /// A program that had the terminal has ended: whether well, or why not.
    Shell(Result<(), String>),
    /// News of a log that is read from its first byte.
    WholeLog {
        /// Which.
        key: LogKey,
        /// The news.
        news: LogNews,
        /// How much of it there was before anything came live, in bytes, where that is known.
        kept: Option<u64>,
    },
    /// What a host has replied about the job of a log; `None` if it has no more to say of it.
    Job(LogKey, Option<Arc<DeployReport>>),
    /// A log was saved, or why not and what to do, in a sentence.
    Saved(Result<String, String>),
    /// Something went wrong that nobody here can mend.
    Fault(Fault),
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this and follow it.
    Send(Box<Plan>),
    /// Let no further wave of this begin.
    Abort(Id),
    /// Follow the end of this log, and no other log.
    Log(Option<LogKey>),
    /// Look up the head of this branch in these flakes.
    Heads(BTreeSet<String>, Revision),
    /// Write down how the table is looked at.
    Remember(Memory),
    /// Copy this text to where the operator can paste it.
    Copy(String),
    /// Ask this host, and no other any more, for its past and for its job with all that belongs to it.
    History(Name),
    /// Lend the terminal to this command of a shell.
    Shell(String),
    /// Follow this log from its first byte, and no other.
    WholeLog(LogKey),
    /// Query the job of this log, with its diagnostics.
    Job(LogKey),
    /// Save a log.
    SaveLog(Box<LogFile>),
    /// Draw everything anew.
    Redraw,
    /// Give the terminal back until we are woken.
    Suspend,
    /// Leave for another context.
    Switch(String),
    /// Leave.
    Quit,
}

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The host.
    pub host: Name,
    /// The job.
    pub job: Id,
}

/// A log to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFile {
    /// What the file is to be called, unless there is such a file.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// How many lines are missing at its beginning.
    pub gone: u64,
}

impl LogKey {
    /// The log of a host's job, the running one or else the last.
    pub(super) fn of(host: &Host) -> Option<Self> {
        // A host without an instance is one of the base format, which keeps no logs.
        let job = host.job.as_ref().filter(|job| job.instance.is_some())?;
        Some(Self { host: host.name.clone(), job: job.id.clone()? })
    }
}

/// The link as the console shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    /// Whether we are connected.
    pub up: bool,
    /// How often a connection has come about.
    pub connects: u64,
    /// Why not, in words.
    pub reason: Option<String>,
    /// When the next attempt is made.
    pub next_try: Option<Timestamp>,
    /// How often messages were dropped because we read too slowly.
    pub dropped: u64,
}

/// News of a deployment of ours.
#[derive(Debug)]
pub enum OrderNews {
    /// Something to know, in a sentence.
    Note(String),
    /// A host got it once more, under another id: its clock is wrong. In a sentence.
    Again(Name, Id, String),
    /// A wave was sent.
    Wave(WaveNews),
    /// Every host has its verdict or was given up, or no further wave begins.
    Ended(Outcome),
    /// It was not sent, or it cannot be followed any more.
    Failed(String),
}

/// What went wrong, for a box that must be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was being done.
    pub title: String,
    /// What went wrong and what to do.
    pub text: String,
}
