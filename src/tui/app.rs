//! Everything the console knows and shows, as plain data.

use super::{
    Context, Counts, Effect, Fault, Filter, Form, LinkState, LogKey, LogPane, Order, Screen, Table, Theme,
    Tone, order, view,
};
use crate::deployer::{Plan, Roster};
use crate::fleet::{Fleet, Host};
use crate::protocol::{Id, Name};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use tui_input::Input;

/// What the console is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers, as a person reads them.
    pub server: String,
    /// Who deploys, for the hosts' history.
    pub issuer: String,
    /// The revision that is offered first.
    pub branch: Option<String>,
    /// Tiers whose name must be typed before a deployment there is sent.
    pub confirm_tiers: Vec<Name>,
    /// The time zone of the clock.
    pub zone: TimeZone,
    /// The look.
    pub theme: Theme,
    /// The name of the context, where there is one.
    pub context: Option<String>,
    /// Whether nothing may be sent that does something on a host.
    pub read_only: bool,
}

/// What lies over a screen.
#[derive(Debug)]
pub enum Overlay {
    /// The help, from this line on.
    Help(usize),
    /// The deploy form.
    Form(Box<Form>),
    /// Whether to cancel.
    Question(Question),
}

/// A question before jobs are cancelled.
#[derive(Debug)]
pub struct Question {
    /// The question.
    pub text: String,
    /// What is sent on yes.
    pub plan: Plan,
    /// Whether yes is chosen; not at first.
    pub yes: bool,
}

/// A sentence that stands for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// What it means.
    pub tone: Tone,
    /// Whether it must be seen.
    pub(super) lasting: bool,
    pub(super) since: Timestamp,
}

/// The console.
#[derive(Debug)]
pub struct App {
    /// What it was told at its start.
    pub options: Options,
    /// The size of the terminal.
    pub size: Size,
    /// The time.
    pub now: Timestamp,
    /// Everything known of hosts and deployments.
    pub fleet: Fleet,
    /// The link to the server.
    pub link: LinkState,
    /// How long the server last took to answer.
    pub round_trip: Option<Duration>,
    /// Messages that could not be read.
    pub unreadable: u64,
    /// The rows.
    pub table: Table,
    /// The filter while it is being typed, and the one before.
    pub typing: Option<(Input, Filter)>,
    /// Why what is typed is no filter.
    pub bad_filter: Option<String>,
    /// The screens over the fleet screen; keys go to the last one.
    pub screens: Vec<Screen>,
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// Error boxes, the first in front.
    pub faults: VecDeque<Fault>,
    /// What was last to be told.
    pub notice: Option<Notice>,
    /// What is to be told after it.
    pub(super) waiting: VecDeque<Notice>,
    /// The deployments of this console, oldest first.
    pub orders: VecDeque<Order>,
    /// The log in view.
    pub log: Option<LogPane>,
    /// How many hosts are how; made anew before a frame.
    pub counts: Counts,
    pub(super) counted: bool,
    pub(super) dirty: bool,
    /// Subjects whose refusal was told.
    pub(super) refused: BTreeSet<String>,
}

impl App {
    /// A console that knows of the hosts in the roster.
    pub fn new(options: Options, roster: &Roster, size: Size, now: Timestamp) -> Self {
        let mut fleet = Fleet::default();
        for (name, entry) in &roster.hosts {
            fleet.recall(entry.recall(name));
        }
        Self {
            options,
            size,
            now,
            fleet,
            link: LinkState::default(),
            round_trip: None,
            unreadable: 0,
            table: Table::default(),
            typing: None,
            bad_filter: None,
            screens: Vec::new(),
            overlay: None,
            faults: VecDeque::new(),
            notice: None,
            waiting: VecDeque::new(),
            orders: VecDeque::new(),
            log: None,
            counts: Counts::default(),
            counted: false,
            dirty: true,
            refused: BTreeSet::new(),
        }
    }

    /// Whether a frame would show something new.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Where keys go.
    pub fn context(&self) -> Context {
        match (&self.overlay, &self.typing) {
            _ if !self.faults.is_empty() => Context::Fault,
            (Some(Overlay::Help(_)), _) => Context::Help,
            (Some(Overlay::Form(_)), _) => Context::Form,
            (Some(Overlay::Question(_)), _) => Context::Question,
            (None, Some(_)) => Context::Filter,
            (None, None) => self.screens.last().map_or(Context::Fleet, Screen::context),
        }
    }

    /// The host in view: that of the screen, on the fleet screen the selected one.
    pub fn host(&self) -> Option<&Host> {
        let name = match self.screens.last() {
            Some(screen) => screen.host(),
            None => self.table.selected(),
        };
        self.fleet.hosts.get(name?)
    }

    /// The hosts that a command is about: that of the screen; on the fleet screen the marked ones, else the selected one.
    pub(super) fn meant(&self) -> Vec<Name> {
        if self.screens.is_empty() && !self.table.marks.is_empty() {
            return self.table.marks.iter().cloned().collect();
        }
        self.host().map(|host| host.name.clone()).into_iter().collect()
    }

    /// Whether a deployment was sent from here.
    pub fn is_ours(&self, id: &Id) -> bool {
        self.orders.iter().any(|order| order.is(id))
    }

    /// Puts up a box that must be closed.
    pub(super) fn fault(&mut self, title: impl Into<String>, text: impl Into<String>) {
        self.faults.push_back(Fault { title: title.into(), text: text.into() });
    }

    pub(super) fn remember(&mut self, plan: Plan) {
        order::remember(&mut self.orders, Order::new(plan, self.now));
    }

    /// Takes the time: what has stood long enough goes.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.now = now;
        self.age_notices();
        self.counted = false;
        if self.table.is_volatile() {
            self.table.touch();
        }
    }

    /// Brings what is cached for a frame up to date.
    pub(super) fn settle(&mut self) {
        self.table.settle(&self.fleet, self.now, view::rows_in_view(self.size));
        if !self.counted {
            self.counted = true;
            self.counts = Counts::of(self);
        }
        if let Some(mut screen) = self.screens.pop() {
            screen.settle(self);
            self.screens.push(screen);
        }
    }

    /// The log that belongs on the screen, where that has changed.
    pub(super) fn follow_log(&mut self) -> Option<Effect> {
        let wanted = self.host().and_then(|host| {
            // A host without an instance is one of the base format, which keeps no logs.
            let job = host.job.as_ref().filter(|job| job.instance.is_some())?;
            Some(LogKey { host: host.name.clone(), job: job.id.clone()? })
        });
        if self.log.as_ref().map(|log| &log.key) == wanted.as_ref() {
            return None;
        }
        self.log = wanted.clone().map(LogPane::new);
        Some(Effect::Log(wanted))
    }
}
