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
    /// Something went wrong that nobody here can mend.
    Fault(Fault),
}

/// Something to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this and follow it.
    Send(Box<Plan>),
    /// Follow this log and no other.
    Log(Option<LogKey>),
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
