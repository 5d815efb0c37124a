//! All that comes in, and all that goes out.

use crate::bus::Refusal;
use crate::deployer::{LogNews, Outcome, Plan};
use crate::protocol::{Id, Inbound, Name, WireError};
use crossterm::event::KeyEvent;
use jiff::Timestamp;
use ratatui::layout::Size;
use std::time::Duration;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
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
    /// The state of the link.
    Link(LinkState),
    /// The server has answered a ping in this time.
    RoundTrip(Duration),
    /// The server refused a subject.
    Refused(Refusal),
    /// News of a deployment of ours.
    Order(Id, OrderNews),
    /// News of a log.
    Log(LogKey, LogNews),
    /// News of a log that is read from its first byte.
    WholeLog {
        /// Which.
        key: LogKey,
        /// The news.
        news: LogNews,
        /// How much of it there was before anything came live, in bytes, where that is known.
        kept: Option<u64>,
    },
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
    /// Follow the end of this log, and no other log.
    Log(Option<LogKey>),
    /// Follow this log from its first byte, and no other.
    WholeLog(LogKey),
    /// Save a log.
    SaveLog(Box<LogFile>),
    /// Draw everything anew.
    Redraw,
    /// Give the terminal back until we are woken.
    Suspend,
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
    /// Every host has its verdict or was given up.
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
