//! Everything the console knows and shows, as plain data.

use super::deployments::Known;
use super::{
    CommandLine, Context, Counts, Effect, Fault, Filter, Form, LinkState, LogKey, LogPane, Memory, Options,
    Order, Screen, Table, Tone, order, view,
};
use crate::deployer::{Plan, Roster};
use crate::fleet::{Fleet, Heads, Host};
use crate::protocol::{DeployReport, Id, Name};
use jiff::Timestamp;
use ratatui::layout::Size;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tui_input::Input;

/// What lies over a screen.
#[derive(Debug)]
pub enum Overlay {
    /// The help, from this line on.
    Help(usize),
    /// A form.
    Form(Box<Form>),
    /// Whether to cancel.
    Question(Box<Question>),
    /// The command line.
    Command(CommandLine),
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
    /// The deployment that it says is being sent: the first report of that takes it away.
    pub(super) sends: Option<Id>,
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
    /// The heads of the branch that hosts should run, once they were looked up.
    pub heads: Option<Heads>,
    /// When that was last asked for, and of how many hosts.
    pub(super) heads_asked: Option<(Timestamp, usize)>,
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
    /// The lines that were said on the command line, the last one last.
    pub said: Vec<String>,
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
    /// The log that is followed outside.
    followed: Effect,
    /// How many hosts are how; made anew before a frame.
    pub counts: Counts,
    /// How the table was looked at when that was last written down.
    pub(super) looks: Memory,
    pub(super) counted: bool,
    pub(super) dirty: bool,
    /// Subjects whose refusal was told.
    pub(super) refused: BTreeSet<String>,
    /// Whether the server lets this key hear nothing of builds.
    pub builds_refused: bool,
}

impl App {
    /// A console that knows of the hosts in the roster.
    pub fn new(mut options: Options, roster: &Roster, size: Size, now: Timestamp) -> Self {
        let first = options.first.take();
        let mut fleet = Fleet::default();
        fleet.known_flakes = Arc::new(roster.known_flakes());
        for (name, entry) in &roster.hosts {
            fleet.recall(entry.recall(name));
        }
        let table = Table::sorted(options.sort);
        let looks = Memory::of(&table);
        Self {
            options,
            size,
            now,
            fleet,
            heads: None,
            heads_asked: None,
            link: LinkState::default(),
            round_trip: None,
            unreadable: 0,
            table,
            typing: None,
            bad_filter: None,
            screens: Vec::new(),
            said: Vec::new(),
            overlay: None,
            faults: first.into_iter().collect(),
            notice: None,
            waiting: VecDeque::new(),
            orders: VecDeque::new(),
            log: None,
            followed: Effect::Log(None),
            counts: Counts::default(),
            looks,
            counted: false,
            dirty: true,
            refused: BTreeSet::new(),
            builds_refused: false,
        }
    }

    /// Whether a frame would show something new.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Looks at the table as it was looked at before.
    pub fn recall_looks(&mut self, looks: Memory) {
        self.looks = looks.clone();
        looks.restore(&mut self.table);
    }

    /// Whether the mouse is used on this screen; where it is not, the terminal selects text with it.
    pub fn wants_mouse(&self) -> bool {
        self.options.mouse && !matches!(self.screens.last(), Some(Screen::Log(_)))
    }

    /// Where keys go.
    pub fn context(&self) -> Context {
        match (&self.overlay, &self.typing) {
            _ if !self.faults.is_empty() => Context::Fault,
            (Some(Overlay::Help(_)), _) => Context::Help,
            (Some(Overlay::Form(_)), _) => Context::Form,
            (Some(Overlay::Question(_)), _) => Context::Question,
            (Some(Overlay::Command(_)), _) => Context::Command,
            (None, Some(_)) => Context::Filter,
            (None, None) => self.screens.last().map_or(Context::Fleet, Screen::context),
        }
    }

    /// The host in view: that of the screen, on the fleet screen the selected one.
    pub fn host(&self) -> Option<&Host> {
        let name = match self.screens.last() {
            Some(screen) => screen.host(),
            None => self.table.host(),
        };
        self.fleet.hosts.get(name?)
    }

    /// The hosts that a command is about: that of the screen; on the fleet screen the marked ones, else those
    /// of the selected row.
    pub(super) fn meant(&self) -> Vec<Name> {
        if !self.screens.is_empty() {
            return self.host().map(|host| host.name.clone()).into_iter().collect();
        }
        if self.table.marks.is_empty() {
            return self.table.hosts().to_vec();
        }
        self.table.marks.iter().cloned().collect()
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
        self.table.settle(&self.fleet, self.heads.as_ref(), self.now, view::rows_in_view(self.size));
        if !self.counted {
            self.counted = true;
            let deployments = Known::running(self);
            let hosts = self.fleet.hosts.values();
            self.counts = Counts { deployments, ..Counts::of(hosts, self.heads.as_ref(), self.now) };
        }
        if let Some(mut screen) = self.screens.pop() {
            screen.settle(self);
            self.screens.push(screen);
        }
    }

    /// The log of the job of the host in view, the running one or else the last.
    pub(super) fn log_in_view(&self) -> Option<LogKey> {
        LogKey::of(self.host()?)
    }

    /// What is known of the job of a log.
    pub(super) fn job_of(&self, key: &LogKey) -> Option<&Arc<DeployReport>> {
        let newest = self.fleet.hosts.get(&key.host).and_then(|host| host.job.as_ref());
        let heard = || self.fleet.deployments.get(&key.job)?.job(&key.host).map(|job| &job.report);
        newest.filter(|job| job.id.as_ref() == Some(&key.job)).or_else(heard)
    }

    /// What is to be written down of the looks, where they have changed.
    pub(super) fn remember_looks(&mut self) -> Option<Effect> {
        let looks = Memory::of(&self.table);
        if looks == self.looks {
            return None;
        }
        self.looks = looks.clone();
        Some(Effect::Remember(looks))
    }

    /// The log that belongs on the screen, where that has changed.
    pub(super) fn follow_log(&mut self) -> Option<Effect> {
        let wanted = match self.screens.last() {
            Some(Screen::Log(screen)) => Effect::WholeLog(screen.key.clone()),
            // They show none.
            Some(Screen::Deployments(_) | Screen::Deployment(_) | Screen::Builds(_) | Screen::Build(_)) => {
                Effect::Log(None)
            }
            _ => Effect::Log(self.log_in_view()),
        };
        if self.followed == wanted {
            return None;
        }
        self.log = match &wanted {
            Effect::Log(key) => key.clone().map(LogPane::new),
            _ => None,
        };
        self.followed = wanted.clone();
        Some(wanted)
    }
}
