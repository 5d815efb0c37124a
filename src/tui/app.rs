//! The complete state of the console, as plain data.

use super::fleet_counts::CountedHosts;
use super::list_filter::FilterField;
use super::update::rollouts;
use super::{
    CommandLine, ConnectionStatus, Context, Effect, ErrorDialog, EventFeed, Filter, FleetCounts, Form,
    KnownCommits, KnownDurations, LeaveDialog, LogKey, LogPane, Options, Rollouts, RunningRollout, Screen,
    SentDeployment, ServerLink, Table, Tone, ViewState, sent_deployment, view,
};
use crate::client::{DetachedProcess, Inventory, Plan};
use crate::fleet::{BranchHeads, CommitQuery, Fleet, Host, Outdated};
use crate::protocol::{DeployReport, Id, Name, RolloutStatus};
use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Size;
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tui_input::Input;

/// How long a notice is shown, and how long if others are waiting.
const NOTICE_DURATION: SignedDuration = SignedDuration::from_secs(12);
const QUEUED_NOTICE_DURATION: SignedDuration = SignedDuration::from_secs(4);
/// Longest queue of notices.
const MAX_QUEUED: usize = 100;
/// Number of past notices in memory.
const MAX_MESSAGES: usize = 200;
/// How long a branch head is valid, and how soon it may be looked up again if it seems wrong.
const HEADS_MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
const HEADS_RETRY: SignedDuration = SignedDuration::from_secs(5);
/// Interval between checks whether hosts run commits that were not read yet.
const COMMITS_CHECK: SignedDuration = SignedDuration::from_secs(5);

/// Time between two saves of the event feed.
const FEED_SAVE_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// A dialog or an input line above a screen.
#[derive(Debug)]
pub enum Overlay {
    /// The help, scrolled to this line.
    Help(usize),
    /// The past notices, newest first, scrolled to this line.
    Messages(usize),
    /// A form for a deployment, a rollback, a reboot or a diff.
    Form(Box<Form>),
    /// The prompt before jobs are cancelled.
    Confirm(Box<ConfirmDialog>),
    /// The dialog before leaving while batches are not sent.
    Leave(Box<LeaveDialog>),
    /// The command line, opened with `:`.
    Command(CommandLine),
}

/// The prompt before jobs are cancelled.
#[derive(Debug)]
pub struct ConfirmDialog {
    /// The question, with the names of the hosts.
    pub text: String,
    /// Plan to send if the operator confirms.
    pub plan: Plan,
    /// Whether "Yes" is selected; initially "No" is.
    pub yes: bool,
}

/// A message that is shown for a limited time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The message, without line breaks.
    pub text: String,
    /// Meaning of the message, which selects its style.
    pub tone: Tone,
    /// Whether the notice is shown again after another one has replaced it.
    pub(super) lasting: bool,
    /// The deployment that the notice announces; the first report of that deployment removes the notice.
    pub(super) sends: Option<Id>,
    pub(super) since: Timestamp,
}

/// The state of the console.
#[derive(Debug)]
pub struct App {
    /// Options that were set at startup.
    pub options: Options,
    /// Size of the terminal in cells.
    pub size: Size,
    /// Time of the state in view: the current time, or that of the last answer while the server does not answer.
    pub now: Timestamp,
    /// Current time: the console never reads a clock.
    pub clock: Timestamp,
    /// Whether the server answers.
    pub link: ServerLink,
    /// All known hosts and deployments.
    pub fleet: Fleet,
    /// Heads of the tracked branch; `None` until the first lookup ends.
    pub heads: Option<BranchHeads>,
    /// When the heads were last requested, and for how many hosts.
    pub(super) heads_requested: Option<(Timestamp, usize)>,
    /// The commits between what hosts run and these heads.
    pub commits: KnownCommits,
    /// When the commits to read were last determined.
    commits_checked: Timestamp,
    /// Connection to the NATS server.
    pub connection: ConnectionStatus,
    /// Round-trip time of the last ping; `None` while disconnected.
    pub round_trip: Option<Duration>,
    /// Number of messages that could not be decoded.
    pub unreadable: u64,
    /// Rows of the fleet screen.
    pub table: Table,
    /// The filter that is being typed, and the one that escape restores.
    pub filter_input: Option<(Input, Filter)>,
    /// The filter of another list that is being typed.
    pub(super) list_filter: Option<FilterField>,
    /// What the help searches for, and whether that is being typed.
    pub(super) help_search: (Input, bool),
    /// The number that was typed before a movement.
    pub(super) count: Option<usize>,
    /// Why the typed filter is invalid.
    pub filter_error: Option<String>,
    /// Screens above the fleet screen; the last one receives the keys.
    pub screens: Vec<Screen>,
    /// Lines entered on the command line, oldest first.
    pub command_history: Vec<String>,
    /// Dialog or input line above the screen.
    pub overlay: Option<Overlay>,
    /// Open error dialogs; the first one is in front.
    pub error_dialogs: VecDeque<ErrorDialog>,
    /// The notice on screen.
    pub notice: Option<Notice>,
    /// Past notices with their times, oldest first.
    pub messages: VecDeque<(Timestamp, Tone, String)>,
    /// Notices that are shown after the current one.
    pub(super) queued_notices: VecDeque<Notice>,
    /// Deployments that this console sent, oldest first.
    pub sent_deployments: VecDeque<SentDeployment>,
    /// What happened on the hosts.
    pub feed: EventFeed,
    /// When the feed was last saved.
    pub(super) feed_saved_at: Timestamp,
    /// Durations of past jobs.
    pub durations: KnownDurations,
    /// The rollouts of all operators.
    pub rollouts: Rollouts,
    /// The rollouts of this console that other processes have taken over.
    pub handed_over: Vec<(Id, DetachedProcess)>,
    /// End of the log of the job in view.
    pub log: Option<LogPane>,
    /// The last log effect, so that the same log is not requested twice.
    followed_log: Effect,
    /// Number of hosts per status, up to date in a frame.
    pub counts: FleetCounts,
    /// What each host contributes to the counts.
    pub(super) counted: CountedHosts,
    /// The batch options of the last deployment to several hosts.
    pub(super) last_batches: Option<String>,
    /// The directory of the last saved log.
    pub(super) log_directory: Option<PathBuf>,
    /// The view state that was last saved.
    pub(super) saved_view_state: ViewState,
    /// The running deployments, recomputed once a second and when one starts or ends.
    pub running: Vec<RunningRollout>,
    pub(super) running_fresh: bool,
    pub(super) dirty: bool,
    /// Subjects with a permission violation that was already shown.
    pub(super) reported_subjects: BTreeSet<String>,
    /// Whether the server denies this key the reports of the builder.
    pub builds_denied: bool,
}

impl App {
    /// Creates a console that shows the hosts of an inventory.
    pub fn new(mut options: Options, inventory: &Inventory, size: Size, now: Timestamp) -> Self {
        let first = options.first_error.take();
        let mut fleet = Fleet::default();
        fleet.known_flakes = Arc::new(inventory.known_flakes());
        for (name, entry) in &inventory.hosts {
            fleet.restore_host(entry.to_host(name));
        }
        let table = Table::sorted(options.sort);
        let mut app = Self {
            options,
            size,
            now,
            clock: now,
            link: ServerLink::default(),
            fleet,
            heads: None,
            heads_requested: None,
            commits: KnownCommits::default(),
            commits_checked: now,
            connection: ConnectionStatus::default(),
            round_trip: None,
            unreadable: 0,
            table,
            filter_input: None,
            filter_error: None,
            list_filter: None,
            help_search: (Input::default(), false),
            count: None,
            screens: Vec::new(),
            command_history: Vec::new(),
            overlay: None,
            error_dialogs: first.into_iter().collect(),
            notice: None,
            messages: VecDeque::new(),
            queued_notices: VecDeque::new(),
            sent_deployments: VecDeque::new(),
            feed: EventFeed::default().expecting(!inventory.hosts.is_empty()),
            feed_saved_at: now,
            durations: KnownDurations::default(),
            rollouts: Rollouts::default(),
            handed_over: Vec::new(),
            log: None,
            followed_log: Effect::Log(None),
            counts: FleetCounts::default(),
            counted: CountedHosts::default(),
            saved_view_state: ViewState::default(),
            last_batches: None,
            log_directory: None,
            running: Vec::new(),
            running_fresh: false,
            dirty: true,
            reported_subjects: BTreeSet::new(),
            builds_denied: false,
        };
        app.saved_view_state = ViewState::of(&app);
        app
    }

    /// Whether the state has changed since the last frame.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Restores sort order, columns and filter of an earlier run.
    pub fn restore_view_state(&mut self, saved_view_state: ViewState) {
        self.saved_view_state = saved_view_state.clone();
        saved_view_state.restore(self);
    }

    /// Whether the console captures the mouse; otherwise the terminal selects text with it.
    pub fn captures_mouse(&self) -> bool {
        self.options.mouse && !matches!(self.screens.last(), Some(Screen::Log(_) | Screen::Logs(_)))
    }

    /// The context that decides what a key does.
    pub fn context(&self) -> Context {
        match (&self.overlay, &self.filter_input) {
            _ if !self.error_dialogs.is_empty() => Context::ErrorDialog,
            (Some(Overlay::Help(_)), _) if self.help_search.1 => Context::HelpSearch,
            (Some(Overlay::Help(_) | Overlay::Messages(_)), _) => Context::Help,
            (Some(Overlay::Form(_)), _) => Context::Form,
            (Some(Overlay::Confirm(_)), _) => Context::Confirm,
            (Some(Overlay::Leave(_)), _) => Context::Leave,
            (Some(Overlay::Command(_)), _) => Context::Command,
            (None, Some(_)) => Context::Filter,
            (None, None) if self.list_filter.is_some() => Context::ListFilter,
            (None, None) => self.screens.last().map_or(Context::Fleet, Screen::context),
        }
    }

    /// The host in view: the one of the screen, or the selected one on the fleet screen.
    pub fn host(&self) -> Option<&Host> {
        let name = match self.screens.last() {
            Some(screen) => screen.host(),
            None => self.table.host(),
        };
        self.fleet.hosts.get(name?)
    }

    /// The hosts that a command applies to: the one of the screen; on the fleet screen and the heat map, the marked hosts
    /// or else those of the selected row or cell.
    pub(super) fn target_hosts(&self) -> Vec<Name> {
        let of_marks = matches!(self.screens.last(), None | Some(Screen::HeatMap(_)));
        if !self.screens.is_empty() && (!of_marks || self.table.marks.is_empty()) {
            return self.host().map(|host| host.name.clone()).into_iter().collect();
        }
        if self.table.marks.is_empty() {
            return self.table.hosts().to_vec();
        }
        self.table.marks.iter().cloned().collect()
    }

    /// The rollouts of this console that have batches left to send.
    pub fn unsent_rollouts(&self) -> Vec<&SentDeployment> {
        let has_ended = |sent: &SentDeployment| {
            self.rollouts.get(&sent.plan.id).is_some_and(|rollout| !rollout.is_open())
        };
        let sent = self.sent_deployments.iter();
        sent.filter(|sent| sent.has_unsent_batches() && !has_ended(sent)).collect()
    }

    /// Whether this console sent a deployment.
    pub fn is_ours(&self, id: &Id) -> bool {
        self.sent_deployments.iter().any(|sent| sent.is(id))
    }

    /// Takes the form out, if one is open. Another overlay stays.
    pub(super) fn take_form(&mut self) -> Option<Box<Form>> {
        match self.overlay.take() {
            Some(Overlay::Form(form)) => Some(form),
            other => {
                self.overlay = other;
                None
            }
        }
    }

    /// Opens an error dialog.
    pub(super) fn show_error(&mut self, title: impl Into<String>, text: impl Into<String>) {
        self.error_dialogs.push_back(ErrorDialog { title: title.into(), text: text.into() });
    }

    pub(super) fn record_sent(&mut self, plan: Plan) {
        sent_deployment::record(&mut self.sent_deployments, SentDeployment::new(plan, self.now));
    }

    /// Advances the time and removes expired notices.
    pub(super) fn tick(&mut self, clock: Timestamp) {
        self.clock = clock;
        self.link.check(clock);
        self.update_now();
        self.expire_notices();
        self.running_fresh = false;
        if self.connection.up {
            self.feed.note_silence(&self.fleet, self.now);
        }
        // A filter can match times, such as `seen>1m`.
        if !self.table.filter.is_empty() {
            self.table.invalidate();
        }
    }

    /// Records that the server answered or sent a message. A time without answers does not count as silence of hosts.
    pub(super) fn record_answer(&mut self, at: Timestamp) {
        if let Some((since, until)) = self.link.record_answer(at) {
            self.fleet.excuse_outage(since, until);
            self.counted.is_fresh = false;
            self.table.invalidate();
            self.clock = self.clock.max(until);
            self.update_now();
            self.dirty = true;
        }
    }

    /// Records that the connection to the server has ended.
    pub(super) fn record_loss(&mut self) {
        self.link.record_loss(self.clock);
        self.update_now();
    }

    /// Stops the time of the state in view while the server does not answer.
    fn update_now(&mut self) {
        self.now = self.link.lost_at().map_or(self.clock, |lost| lost.min(self.clock));
    }

    /// Updates the state that is cached for a frame.
    pub(super) fn refresh_cache(&mut self) {
        let change = self.counted.refresh(&self.fleet, self.heads.as_ref(), self.now);
        self.table.invalidate_if_moved(change);
        self.table.rerank(self.counted.take_reranked());
        let in_view = self.screens.is_empty();
        self.table.refresh_rows(&self.fleet, self.heads.as_ref(), self.now, in_view);
        let mut deployments = self.counts.deployments;
        if !self.running_fresh {
            self.running_fresh = true;
            (self.running, deployments) = RunningRollout::all(self);
        }
        self.counts = FleetCounts { deployments, ..self.counted.total() };
        self.table.scroll_to_selected(view::hosts_in_view(self));
        if let Some(mut screen) = self.screens.pop() {
            screen.refresh_cache(self);
            self.screens.push(screen);
        }
    }

    /// The log of the running job, or else of the last job, of the host in view.
    pub(super) fn log_in_view(&self) -> Option<LogKey> {
        LogKey::of(self.host()?)
    }

    /// The newest report about the job of a log.
    pub(super) fn job_of(&self, key: &LogKey) -> Option<&Arc<DeployReport>> {
        let newest = self.fleet.hosts.get(&key.host).and_then(|host| host.job.as_ref());
        let reported = || self.fleet.deployments.get(&key.job)?.job(&key.host).map(|job| &job.report);
        newest.filter(|job| job.id.as_ref() == Some(&key.job)).or_else(reported)
    }

    /// The effect that saves the view state, if it has changed.
    pub(super) fn save_view_state_if_changed(&mut self) -> Option<Effect> {
        let saved_view_state = ViewState::of(self);
        if saved_view_state == self.saved_view_state {
            return None;
        }
        self.saved_view_state = saved_view_state.clone();
        Some(Effect::SaveViewState(saved_view_state))
    }

    /// Shows the rollouts whose process has died.
    pub fn restore_rollouts(&mut self, interrupted: Vec<RolloutStatus>) {
        rollouts::restore(self, interrupted);
    }

    /// Restores the events of earlier runs.
    pub fn restore_feed(&mut self, feed: EventFeed) {
        self.feed = feed.expecting(self.feed.expects_hosts);
    }

    /// The effect that saves the feed, if it has changed and was not saved in the last minute.
    pub(super) fn save_feed_if_due(&mut self) -> Option<Effect> {
        if self.now.duration_since(self.feed_saved_at) < FEED_SAVE_INTERVAL {
            return None;
        }
        self.feed_saved_at = self.now;
        self.feed.take_changed().map(|feed| Effect::SaveFeed(Box::new(feed)))
    }

    /// The effect that follows the log for the current screen, if a different log is needed.
    pub(super) fn follow_log(&mut self) -> Option<Effect> {
        let log_effect = match self.screens.last() {
            Some(Screen::Log(screen)) => Effect::FullLog(screen.key.clone()),
            Some(Screen::Logs(screen)) => Effect::FullLogs(screen.keys.clone()),
            // These screens show no log.
            Some(screen) if !screen.shows_log() => Effect::Log(None),
            _ => Effect::Log(self.log_in_view()),
        };
        if self.followed_log == log_effect {
            return None;
        }
        self.log = match &log_effect {
            Effect::Log(key) => key.clone().map(LogPane::new),
            _ => None,
        };
        if let (Effect::FullLogs(_), Some(Screen::Logs(screen))) = (&log_effect, self.screens.last_mut()) {
            screen.restart();
        }
        self.followed_log = log_effect.clone();
        Some(log_effect)
    }

    /// Shows a notice. A lasting notice that it replaces is shown again afterwards.
    pub(super) fn show_notice(&mut self, tone: Tone, text: impl Into<String>) {
        let notice = self.new_notice(tone, text.into(), false);
        let replaced = self.notice.replace(notice);
        if let Some(lasting) = replaced.filter(|replaced| replaced.lasting) {
            self.queued_notices.push_front(lasting);
        }
    }

    /// Shows that a deployment is being sent, until its first report arrives.
    pub(super) fn show_sending_notice(&mut self, id: Id, text: String) {
        self.show_notice(Tone::Busy, text);
        if let Some(notice) = &mut self.notice {
            notice.sends = Some(id);
        }
    }

    /// Removes the notice of a deployment that has reported.
    pub(super) fn clear_sending_notice(&mut self, id: &Id) {
        let sends = self.notice.as_ref().and_then(|notice| notice.sends.as_ref());
        let sent = sends.and_then(|sends| self.sent_deployments.iter().find(|sent| sent.plan.id == *sends));
        if sent.is_some_and(|sent| sent.is(id)) {
            self.dismiss_notice();
            self.dirty = true;
        }
    }

    /// Shows a notice that must not be lost: after the other lasting notices.
    pub(super) fn show_lasting_notice(&mut self, tone: Tone, text: impl Into<String>) {
        let notice = self.new_notice(tone, text.into(), true);
        if self.notice.as_ref().is_some_and(|notice| notice.lasting) {
            if self.queued_notices.len() == MAX_QUEUED {
                self.queued_notices.pop_front();
            }
            self.queued_notices.push_back(notice);
        } else {
            self.notice = Some(notice);
        }
    }

    /// Replaces the notice by the next one; returns whether there was one.
    pub(super) fn dismiss_notice(&mut self) -> bool {
        let shown = self.notice.take().is_some();
        self.notice = next_notice(&mut self.queued_notices, self.clock);
        shown
    }

    /// Removes an expired notice.
    pub(super) fn expire_notices(&mut self) {
        let duration = if self.queued_notices.is_empty() { NOTICE_DURATION } else { QUEUED_NOTICE_DURATION };
        let has_expired = |notice: &Notice| self.clock.duration_since(notice.since) > duration;
        if self.notice.as_ref().is_some_and(has_expired) {
            self.dismiss_notice();
        }
    }

    fn new_notice(&mut self, tone: Tone, text: String, lasting: bool) -> Notice {
        if self.messages.len() == MAX_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back((self.clock, tone, text.clone()));
        Notice { text, tone, lasting, sends: None, since: self.clock }
    }

    /// Whether a host does not run the head of its branch.
    pub fn is_outdated(&self, host: &Host) -> bool {
        self.heads.as_ref().is_some_and(|heads| matches!(heads.outdated(host), Outdated::Yes { .. }))
    }

    /// The lookup of branch heads, if it is due. It repeats, because nothing announces that a branch has moved.
    pub(super) fn fetch_heads_if_due(&mut self) -> Option<Effect> {
        let branch = self.options.tracked_branch.clone()?;
        let hosts = self.fleet.hosts.len();
        if let Some((requested_at, of)) = self.heads_requested {
            let wait = if of == hosts { HEADS_MAX_AGE } else { HEADS_RETRY };
            if self.now.duration_since(requested_at) < wait {
                return None;
            }
        }
        let error = self.fleet.flake_errors().into_values().next();
        if let Some(error) = error.map(|error| error.to_string()) {
            self.heads_requested = Some((self.now, hosts));
            self.show_notice(Tone::Warn, error);
        }
        let flakes = self.fleet.flakes();
        if flakes.is_empty() {
            return None;
        }
        self.heads_requested = Some((self.now, hosts));
        Some(Effect::Heads(flakes, branch))
    }

    /// Reads the commits between what hosts run and the heads that were just looked up.
    pub(super) fn set_heads(&mut self, heads: BranchHeads) -> Option<Effect> {
        self.heads = Some(heads);
        self.counted.is_fresh = false;
        self.table.invalidate();
        self.commits.retry_failures();
        self.read_commits()
    }

    /// Reads the commits again if hosts may run others now.
    pub(super) fn read_commits_if_due(&mut self) -> Option<Effect> {
        let is_due = self.now.duration_since(self.commits_checked) >= COMMITS_CHECK;
        is_due.then(|| self.read_commits()).flatten()
    }

    fn read_commits(&mut self) -> Option<Effect> {
        self.commits_checked = self.now;
        self.commits.request(CommitQuery::of(self.heads.as_ref()?, &self.fleet))
    }

    /// Makes a lookup due if a host completed a commit that is not a known head: the branch has moved.
    pub(super) fn recheck_heads(&mut self, commit: &str) {
        let known = |heads: &BranchHeads| heads.by_flake.values().flatten().any(|head| head == commit);
        if let (Some(heads), Some((_, of))) = (&self.heads, &mut self.heads_requested)
            && !known(heads)
        {
            // A different number of hosts shortens the wait to `HEADS_RETRY`.
            *of = usize::MAX;
        }
    }
}

fn next_notice(queued_notices: &mut VecDeque<Notice>, now: Timestamp) -> Option<Notice> {
    let notice = queued_notices.pop_front()?;
    Some(Notice { since: now, ..notice })
}
