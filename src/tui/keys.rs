//! The key table. It drives input handling, the help, the footer and the documentation; `[console.keys]` changes it.

use super::chord::{Chord, code, ctrl, key};
use clap::ValueEnum;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use std::borrow::Cow;

/// Where a key is pressed; decides what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// The fleet screen.
    Fleet,
    /// The screen of one host.
    Host,
    /// The screen with all deployments.
    Deployments,
    /// The screen of one deployment.
    Deployment,
    /// The screen with the builder's builds.
    Builds,
    /// The screen of one build.
    Build,
    /// The timeline of a deployment.
    Timeline,
    /// The heat map.
    HeatMap,
    /// The event feed.
    Events,
    /// The changes of a deployment.
    Changes,
    /// The logs of several hosts.
    Logs,
    /// The filter field of the logs.
    LogsFilter,
    /// The screen of a log.
    Log,
    /// The search field of a log.
    Search,
    /// The filter field of the fleet screen.
    Filter,
    /// The filter field of another list.
    ListFilter,
    /// A form.
    Form,
    /// A prompt with yes and no.
    Confirm,
    /// The dialog before leaving.
    Leave,
    /// The command line.
    Command,
    /// The help.
    Help,
    /// The search field of the help.
    HelpSearch,
    /// An error dialog.
    ErrorDialog,
}

/// The command that a key triggers. The names are keys of `[console.keys]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "KEYS describes each command")]
pub enum KeyCommand {
    Down,
    Up,
    PageDown,
    PageUp,
    HalfPageDown,
    HalfPageUp,
    First,
    Last,
    Left,
    Right,
    Accept,
    Batches,
    Back,
    Open,
    Mark,
    MarkAll,
    Filter,
    Sort,
    Reverse,
    Group,
    Fold,
    Unfold,
    Faults,
    Wide,
    Copy,
    Deploy,
    Rollback,
    Reboot,
    Diff,
    Shell,
    Cancel,
    Abort,
    Pause,
    Continue,
    Undo,
    Deployments,
    Builds,
    Timeline,
    HeatMap,
    Events,
    Changes,
    ColourBy,
    ZoomIn,
    ZoomOut,
    ZoomFit,
    PaneDown,
    PaneUp,
    Log,
    Logs,
    Follow,
    Wrap,
    Times,
    Search,
    NextMatch,
    PreviousMatch,
    Save,
    CommandLine,
    Complete,
    Yes,
    No,
    Help,
    Quit,
    Redraw,
    Suspend,
    Leave,
}

/// A set of contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contexts(u32);

impl Contexts {
    const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether a context is in the set.
    pub const fn contains(self, context: Context) -> bool {
        self.0 & 1 << context as u32 != 0
    }

    const fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

const fn of(contexts: &[Context]) -> Contexts {
    let mut bits = 0;
    let mut at = 0;
    while at < contexts.len() {
        bits |= 1 << contexts[at] as u32;
        at += 1;
    }
    Contexts(bits)
}

/// Keys with the same command in some contexts.
#[derive(Debug, Clone)]
pub struct Binding {
    /// Contexts in which the keys work.
    pub contexts: Contexts,
    /// The keys, the one for the footer first.
    pub chords: Cow<'static, [Chord]>,
    /// What the keys trigger.
    pub command: KeyCommand,
    /// Description for the help.
    pub help: &'static str,
    /// Short description for the footer; `None` to leave it out.
    pub hint: Option<&'static str>,
}

const fn binding(
    contexts: Contexts,
    chords: &'static [Chord],
    command: KeyCommand,
    help: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { contexts, chords: Cow::Borrowed(chords), command, help, hint }
}

const ALL: Contexts = Contexts(u32::MAX);
const FLEET: Contexts = of(&[Context::Fleet]);
const HOST: Contexts = of(&[Context::Host]);
const DEPLOYMENTS: Contexts = of(&[Context::Deployments]);
const DEPLOYMENT: Contexts = of(&[Context::Deployment]);
const BUILDS: Contexts = of(&[Context::Builds]);
const TIMELINE: Contexts = of(&[Context::Timeline]);
const HEAT_MAP: Contexts = of(&[Context::HeatMap]);
const EVENTS: Contexts = of(&[Context::Events]);
const CHANGES: Contexts = of(&[Context::Changes]);
const OF_LOGS: Contexts = of(&[Context::Logs]);
const LOGS_FILTER: Contexts = of(&[Context::LogsFilter]);
const LOG: Contexts = of(&[Context::Log]);
const SEARCH: Contexts = of(&[Context::Search]);
const FILTER: Contexts = of(&[Context::Filter]);
const LIST_FILTER: Contexts = of(&[Context::ListFilter]);
const FORM: Contexts = of(&[Context::Form]);
const CONFIRM: Contexts = of(&[Context::Confirm]);
const LEAVE: Contexts = of(&[Context::Leave]);
const COMMAND: Contexts = of(&[Context::Command]);
const HELP: Contexts = of(&[Context::Help]);
const HELP_SEARCH: Contexts = of(&[Context::HelpSearch]);
const ERROR_DIALOG: Contexts = of(&[Context::ErrorDialog]);
/// Screens that scroll text.
const LOGS: Contexts = LOG.and(OF_LOGS);
/// Contexts with the listed hosts.
const LISTED: Contexts = FLEET.and(HEAT_MAP);
/// Contexts with commands for hosts.
const HOSTS: Contexts = LISTED.and(HOST);
/// Screens with a log.
const WITH_LOG: Contexts = FLEET.and(HOST);
/// Contexts with commands for a deployment.
const OF_DEPLOYMENT: Contexts = DEPLOYMENTS.and(DEPLOYMENT);
/// Contexts with commands for the rollout of a deployment.
const CONTROLS: Contexts = OF_DEPLOYMENT.and(TIMELINE);
/// Contexts with commands for a build.
const OF_BUILD: Contexts = BUILDS.and(of(&[Context::Build]));
/// Lists of other things than hosts, which have a filter.
const LISTS: Contexts = OF_DEPLOYMENT.and(BUILDS).and(EVENTS).and(CHANGES);
/// Those that can be sorted.
const SORTED_LISTS: Contexts = OF_DEPLOYMENT.and(BUILDS).and(CHANGES);
/// Contexts with a selected host.
const OPENS_SHELL: Contexts = HOSTS.and(DEPLOYMENT).and(TIMELINE).and(EVENTS).and(CHANGES);
/// Contexts in which stepping back closes the screen and does nothing else.
const CLOSES: Contexts = LISTS.and(HOST).and(OF_BUILD).and(TIMELINE);
const SCROLLS: Contexts = CLOSES.and(FLEET).and(HELP);
/// Contexts in which half pages are useful.
const MOVES: Contexts = SCROLLS.and(HEAT_MAP).and(LOGS);
const SCREENS: Contexts = CLOSES.and(LISTED).and(LOGS);
/// Contexts from which the timeline of a deployment opens.
const OPENS_TIMELINE: Contexts = WITH_LOG.and(OF_DEPLOYMENT);
/// Contexts from which the logs of several hosts open.
const OPENS_LOGS: Contexts = LISTED.and(DEPLOYMENT).and(TIMELINE);
/// Contexts from which the event feed opens.
const OPENS_EVENTS: Contexts = OPENS_TIMELINE.and(TIMELINE).and(HEAT_MAP);
const CHOOSES: Contexts = FORM.and(CONFIRM).and(LEAVE);

/// The default keys, in the order of help and footer; a narrow footer drops the last ones first.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    binding(HOSTS, &[key('d')], KeyCommand::Deploy, "deploy to the marked hosts, or to this one", Some("deploy")),
    binding(FLEET, &[code(KeyCode::Enter)], KeyCommand::Open, "open this host; on a group heading, fold or unfold the group", Some("host")),
    binding(LISTED, &[key('/')], KeyCommand::Filter, "filter hosts by text and by the terms below", Some("filter")),
    binding(LISTED, &[key('f')], KeyCommand::Faults, "show only hosts that need attention, or all hosts", Some("faults")),
    binding(WITH_LOG, &[key('l')], KeyCommand::Log, "log of the running job, or of the last one", Some("log")),
    binding(LISTED, &[key(' ')], KeyCommand::Mark, "mark this host and move to the next", Some("mark")),
    binding(LISTED, &[key('a')], KeyCommand::MarkAll, "mark or unmark all listed hosts", None),
    binding(WITH_LOG, &[key('v')], KeyCommand::Deployments, "deployments of all operators, running and past", Some("deployments")),
    binding(HOSTS, &[key('c')], KeyCommand::Cancel, "cancel the job of the marked hosts, or of this one", Some("cancel")),
    binding(FLEET, &[key('B')], KeyCommand::Builds, "builds of the builder, running and past", None),
    binding(BUILDS, &[code(KeyCode::Enter)], KeyCommand::Open, "show each host of this build", Some("open")),
    binding(OF_BUILD, &[key('y')], KeyCommand::Copy, "copy the commit of this build", Some("copy commit")),
    binding(DEPLOYMENTS, &[code(KeyCode::Enter)], KeyCommand::Open, "show each host of this deployment", Some("open")),
    binding(DEPLOYMENT, &[code(KeyCode::Enter)], KeyCommand::Open, "open this host", Some("host")),
    binding(DEPLOYMENT, &[key('l')], KeyCommand::Log, "log of this host's job in this deployment", Some("log")),
    binding(DEPLOYMENT, &[key('d')], KeyCommand::Deploy, "deploy to the hosts that did not complete", Some("deploy to the rest")),
    binding(CONTROLS, &[key('p')], KeyCommand::Pause, "pause the rollout: send no batch until it is continued", Some("pause")),
    binding(CONTROLS, &[key('c')], KeyCommand::Continue, "continue the rollout after a pause, or past the limit that stopped it", Some("continue")),
    binding(CONTROLS, &[key('a')], KeyCommand::Abort, "abort the rollout: send no further batch", Some("abort")),
    binding(CONTROLS, &[key('C')], KeyCommand::Cancel, "cancel the jobs of this deployment that are still running", Some("cancel")),
    binding(CONTROLS, &[key('u')], KeyCommand::Undo, "roll back the hosts of this deployment that are done; pauses the rollout", Some("roll back")),
    binding(OPENS_TIMELINE, &[key('T')], KeyCommand::Timeline, "timeline of the selected deployment, or of the running or last one", None),
    binding(FLEET, &[key('H')], KeyCommand::HeatMap, "heat map: a cell for each listed host", None),
    binding(OPENS_EVENTS, &[key('E')], KeyCommand::Events, "events: results, holds, failed units, silent and new hosts", None),
    binding(OF_DEPLOYMENT, &[key('D')], KeyCommand::Changes, "changes of all hosts of this deployment", None),
    binding(OPENS_LOGS, &[key('L')], KeyCommand::Logs, "logs of the marked hosts, the group or the deployment in one stream", None),
    binding(OF_LOGS, &[key('/')], KeyCommand::Filter, "show only lines that match a regular expression; an upper-case letter makes it case-sensitive", Some("filter")),
    binding(LOGS_FILTER, &[code(KeyCode::Enter)], KeyCommand::Accept, "keep the filter", Some("keep")),
    binding(LOGS_FILTER, &[code(KeyCode::Esc)], KeyCommand::Back, "restore the previous filter", Some("back")),
    binding(CHANGES, &[code(KeyCode::Enter)], KeyCommand::Open, "list the hosts of this change, or open this host", Some("hosts")),
    binding(CHANGES, &[key(' ')], KeyCommand::Mark, "mark the hosts of this change", Some("mark")),
    binding(CHANGES, &[key('l')], KeyCommand::Log, "log of this host", None),
    binding(CHANGES, &[key('y')], KeyCommand::Copy, "copy the names of the hosts of this change", Some("copy")),
    binding(EVENTS, &[code(KeyCode::Enter)], KeyCommand::Open, "open this host", Some("host")),
    binding(EVENTS, &[key('l')], KeyCommand::Log, "log of this job", Some("log")),
    binding(EVENTS, &[key('y')], KeyCommand::Copy, "copy the name of this host", None),
    binding(HEAT_MAP, &[code(KeyCode::Enter)], KeyCommand::Open, "open this host", Some("host")),
    binding(HEAT_MAP, &[key('C')], KeyCommand::ColourBy, "colour by state, commit, age or free space", Some("colour by")),
    binding(HEAT_MAP, &[key('n')], KeyCommand::NextMatch, "go to the next host with a problem", Some("next problem")),
    binding(HEAT_MAP, &[key('N')], KeyCommand::PreviousMatch, "go to the previous host with a problem", None),
    binding(HEAT_MAP, &[code(KeyCode::Left), key('h')], KeyCommand::Left, "left", None),
    binding(HEAT_MAP, &[code(KeyCode::Right), key('l')], KeyCommand::Right, "right", None),
    binding(HEAT_MAP, &[code(KeyCode::Down), key('j')], KeyCommand::Down, "down", None),
    binding(HEAT_MAP, &[code(KeyCode::Up), key('k')], KeyCommand::Up, "up", None),
    binding(HEAT_MAP, &[code(KeyCode::PageDown)], KeyCommand::PageDown, "move down a page", None),
    binding(HEAT_MAP, &[code(KeyCode::PageUp)], KeyCommand::PageUp, "move up a page", None),
    binding(HEAT_MAP, &[code(KeyCode::Home), key('g')], KeyCommand::First, "go to the first", None),
    binding(HEAT_MAP, &[code(KeyCode::End), key('G')], KeyCommand::Last, "go to the last", None),
    binding(HEAT_MAP, &[code(KeyCode::Esc), key('q'), key('H')], KeyCommand::Back, "back to the table", Some("back")),
    binding(TIMELINE, &[code(KeyCode::Enter)], KeyCommand::Open, "open this host", Some("host")),
    binding(TIMELINE, &[key('l')], KeyCommand::Log, "log of this host's job in this deployment", Some("log")),
    binding(TIMELINE, &[code(KeyCode::Left), key('h')], KeyCommand::Left, "show earlier times", None),
    binding(TIMELINE, &[code(KeyCode::Right)], KeyCommand::Right, "show later times", Some("pan")),
    binding(TIMELINE, &[key('+'), key('=')], KeyCommand::ZoomIn, "zoom in", Some("zoom in")),
    binding(TIMELINE, &[key('-')], KeyCommand::ZoomOut, "zoom out", Some("out")),
    binding(TIMELINE, &[key('0')], KeyCommand::ZoomFit, "show all of the time", Some("all")),
    binding(TIMELINE, &[key('y')], KeyCommand::Copy, "copy the name of this host", None),
    binding(FLEET, &[key('t')], KeyCommand::Group, "toggle grouping by tier and role", Some("group")),
    binding(FLEET, &[code(KeyCode::Left)], KeyCommand::Fold, "fold the group", None),
    binding(FLEET, &[code(KeyCode::Right)], KeyCommand::Unfold, "unfold the group", None),
    binding(FLEET, &[key('s')], KeyCommand::Sort, "sort by the next column", Some("sort")),
    binding(FLEET, &[key('S')], KeyCommand::Reverse, "reverse the sort order", None),
    binding(HOSTS, &[key('b')], KeyCommand::Rollback, "roll back to the selected generation, or to the previous system", Some("roll back")),
    binding(HOSTS, &[ctrl('r')], KeyCommand::Reboot, "reboot the marked hosts, or this one", Some("reboot")),
    binding(OPENS_SHELL, &[key('x')], KeyCommand::Shell, "open a shell on this host; on a failed unit, its journal", Some("shell")),
    binding(HOSTS, &[key('D')], KeyCommand::Diff, "dry run: show what a deployment would change", Some("diff")),
    binding(FLEET, &[key('w')], KeyCommand::Wide, "switch between deployment and system columns", Some("wide")),
    binding(HOSTS, &[key('y')], KeyCommand::Copy, "copy the names of the marked hosts, or of this one", None),
    binding(DEPLOYMENTS, &[key('y')], KeyCommand::Copy, "copy the commit of this deployment, or its id if unknown", None),
    binding(DEPLOYMENT, &[key('y')], KeyCommand::Copy, "copy the name of this host", None),
    binding(LOGS, &[key('F')], KeyCommand::Follow, "toggle following the end of the log", Some("follow")),
    binding(LOG, &[key('W')], KeyCommand::Wrap, "toggle wrapping of long lines", Some("wrap")),
    binding(LOG, &[key('/')], KeyCommand::Search, "search; an upper-case letter makes it case-sensitive", Some("search")),
    binding(LOG, &[key('n')], KeyCommand::NextMatch, "go to the next match", Some("next")),
    binding(LOG, &[key('N')], KeyCommand::PreviousMatch, "go to the previous match", None),
    binding(LOG, &[key('t')], KeyCommand::Times, "toggle the arrival time of live lines", Some("time")),
    binding(LOG, &[key('S')], KeyCommand::Save, "save the log; the command line shows the file, to be changed", Some("save")),
    binding(LOGS, &[key('j'), code(KeyCode::Down)], KeyCommand::Down, "move down a line", None),
    binding(LOGS, &[key('k'), code(KeyCode::Up)], KeyCommand::Up, "move up a line and stop following", None),
    binding(LOGS, &[code(KeyCode::PageDown)], KeyCommand::PageDown, "move down a page", None),
    binding(LOGS, &[code(KeyCode::PageUp)], KeyCommand::PageUp, "move up a page and stop following", None),
    binding(LOGS, &[code(KeyCode::Home), key('g')], KeyCommand::First, "go to the first line and stop following", None),
    binding(LOGS, &[code(KeyCode::End), key('G')], KeyCommand::Last, "go to the end and follow it", None),
    binding(LOGS, &[code(KeyCode::Left)], KeyCommand::Left, "scroll left", None),
    binding(LOGS, &[code(KeyCode::Right)], KeyCommand::Right, "scroll right, unless long lines are wrapped", None),
    binding(SCROLLS, &[key('j'), code(KeyCode::Down)], KeyCommand::Down, "down", None),
    binding(SCROLLS, &[key('k'), code(KeyCode::Up)], KeyCommand::Up, "up", None),
    binding(SCROLLS, &[code(KeyCode::PageDown)], KeyCommand::PageDown, "move down a page", None),
    binding(SCROLLS, &[code(KeyCode::PageUp)], KeyCommand::PageUp, "move up a page", None),
    binding(MOVES, &[ctrl('d')], KeyCommand::HalfPageDown, "move down half a page", None),
    binding(MOVES, &[ctrl('u')], KeyCommand::HalfPageUp, "move up half a page", None),
    binding(SCROLLS, &[code(KeyCode::Home), key('g')], KeyCommand::First, "go to the first", None),
    binding(SCROLLS, &[code(KeyCode::End), key('G')], KeyCommand::Last, "go to the last", None),
    binding(LISTS, &[key('/')], KeyCommand::Filter, "show only rows that match a regular expression, such as alice|bob", None),
    binding(SORTED_LISTS, &[key('s')], KeyCommand::Sort, "sort by the next column; after the last one, in the initial order", None),
    binding(SORTED_LISTS, &[key('S')], KeyCommand::Reverse, "reverse the order", None),
    binding(LIST_FILTER, &[code(KeyCode::Enter)], KeyCommand::Accept, "keep the filter", Some("keep")),
    binding(LIST_FILTER, &[code(KeyCode::Esc)], KeyCommand::Back, "restore the previous filter", Some("back")),
    binding(DEPLOYMENT, &[key('J')], KeyCommand::PaneDown, "scroll down the lines of this host", None),
    binding(DEPLOYMENT, &[key('K')], KeyCommand::PaneUp, "scroll up the lines of this host", None),
    binding(FORM, &[code(KeyCode::Tab), code(KeyCode::Down)], KeyCommand::Down, "next field; the buttons come last", Some("fields and buttons")),
    binding(FORM, &[code(KeyCode::BackTab), code(KeyCode::Up)], KeyCommand::Up, "previous field", None),
    binding(CHOOSES, &[code(KeyCode::Left)], KeyCommand::Left, "previous choice", None),
    binding(CHOOSES, &[code(KeyCode::Right)], KeyCommand::Right, "next choice", Some("change")),
    binding(FORM, &[ctrl('b')], KeyCommand::Batches, "next preset of batches, from any field", None),
    binding(FORM, &[code(KeyCode::PageDown)], KeyCommand::PageDown, "scroll the hosts down", Some("hosts")),
    binding(FORM, &[code(KeyCode::PageUp)], KeyCommand::PageUp, "scroll the hosts up", None),
    binding(CONFIRM, &[key('y')], KeyCommand::Yes, "yes", Some("yes")),
    binding(CONFIRM, &[key('n')], KeyCommand::No, "no", Some("no")),
    binding(LEAVE, &[key('b')], KeyCommand::Continue, "continue the rollouts in the background, and leave", Some("background")),
    binding(LEAVE, &[key('s')], KeyCommand::Abort, "send no further batch, and leave", Some("stop")),
    binding(LEAVE, &[code(KeyCode::Esc)], KeyCommand::Back, "stay", Some("stay")),
    binding(LEAVE, &[code(KeyCode::Tab)], KeyCommand::Right, "select the next button", None),
    binding(CONFIRM, &[code(KeyCode::Tab)], KeyCommand::Right, "select the other button", None),
    binding(FORM, &[code(KeyCode::Enter)], KeyCommand::Accept, "send what the form shows; on Cancel, send nothing", Some("send")),
    binding(CONFIRM.and(LEAVE), &[code(KeyCode::Enter)], KeyCommand::Accept, "choose the selected button", Some("choose")),
    binding(FILTER, &[code(KeyCode::Enter)], KeyCommand::Accept, "keep the filter", Some("keep")),
    binding(SEARCH, &[code(KeyCode::Enter)], KeyCommand::Accept, "keep the search", Some("keep")),
    binding(SEARCH, &[code(KeyCode::Esc)], KeyCommand::Back, "end the search and return to the previous position", Some("back")),
    binding(ERROR_DIALOG, &[code(KeyCode::Enter), code(KeyCode::Esc), key('q')], KeyCommand::Back, "close", Some("close")),
    binding(HELP, &[key('/')], KeyCommand::Search, "search the help", Some("search")),
    binding(HELP_SEARCH, &[code(KeyCode::Enter)], KeyCommand::Accept, "keep the search", Some("keep")),
    binding(HELP_SEARCH, &[code(KeyCode::Esc)], KeyCommand::Back, "end the search", Some("back")),
    binding(HELP, &[key('?'), key('q'), code(KeyCode::Esc)], KeyCommand::Back, "close the help", Some("close")),
    binding(FILTER.and(FORM).and(CONFIRM).and(COMMAND), &[code(KeyCode::Esc)], KeyCommand::Back, "cancel", Some("back")),
    binding(FLEET, &[code(KeyCode::Esc)], KeyCommand::Back, "clear the filter, then the marks", None),
    binding(CLOSES, &[code(KeyCode::Esc), key('q')], KeyCommand::Back, "clear the filter, then close this screen", Some("back")),
    binding(LOGS, &[code(KeyCode::Esc), key('q')], KeyCommand::Back, "clear the search or the filter, then close the log", Some("back")),
    binding(COMMAND, &[code(KeyCode::Tab)], KeyCommand::Complete, "complete the word", Some("complete")),
    binding(COMMAND, &[code(KeyCode::Up)], KeyCommand::Up, "previous line of the history", None),
    binding(COMMAND, &[code(KeyCode::Down)], KeyCommand::Down, "next line of the history", None),
    binding(COMMAND, &[code(KeyCode::Enter)], KeyCommand::Accept, "run the command", Some("run")),
    binding(SCREENS, &[key(':')], KeyCommand::CommandLine, "command line: all actions by name", Some("command")),
    binding(SCREENS, &[key('?')], KeyCommand::Help, "this help", Some("help")),
    binding(FLEET, &[key('q')], KeyCommand::Quit, "quit", Some("quit")),
    binding(ALL, &[ctrl('l')], KeyCommand::Redraw, "redraw the screen", None),
    binding(ALL, &[ctrl('z')], KeyCommand::Suspend, "suspend", None),
    binding(ALL, &[ctrl('c')], KeyCommand::Leave, "quit from any screen", None),
];

impl KeyCommand {
    /// Whether the command moves, so that a number before its key repeats it.
    pub fn moves(self) -> bool {
        use KeyCommand::{
            Down, HalfPageDown, HalfPageUp, Left, NextMatch, PageDown, PageUp, PreviousMatch, Right, Up,
        };
        matches!(
            self,
            Down | Up
                | PageDown
                | PageUp
                | HalfPageDown
                | HalfPageUp
                | Left
                | Right
                | NextMatch
                | PreviousMatch
        )
    }

    /// Whether the command cancels the jobs of a deployment or controls its rollout.
    pub fn is_control(self) -> bool {
        use KeyCommand::{Abort, Cancel, Continue, Pause, Undo};
        matches!(self, Abort | Cancel | Continue | Pause | Undo)
    }

    /// Whether the command can change a host; a read-only console has no such commands.
    pub fn changes(self) -> bool {
        use KeyCommand::{Abort, Cancel, Continue, Deploy, Diff, Pause, Reboot, Rollback, Shell, Undo};
        matches!(self, Deploy | Rollback | Reboot | Diff | Shell | Cancel | Abort | Pause | Continue | Undo)
    }
}

impl Binding {
    /// Names of the keys, separated by spaces.
    pub fn names(&self) -> String {
        self.chords.iter().map(|chord| chord.name()).collect::<Vec<_>>().join(" ")
    }

    /// Whether the configuration file can change the keys. Keys of text fields and dialogs are fixed, because letters
    /// are text there, and so are keys that work everywhere.
    pub fn is_configurable(&self) -> bool {
        self.contexts.intersects(SCREENS) && !self.contexts.contains(Context::Form)
    }
}

/// The keys of a console.
#[derive(Debug, Clone)]
pub struct Keymap(Vec<Binding>);

impl Default for Keymap {
    fn default() -> Self {
        Self(KEYS.to_vec())
    }
}

impl Context {
    /// Whether the context is a screen, where digits before a key are its count.
    pub fn is_screen(self) -> bool {
        SCREENS.contains(self)
    }
}

impl Keymap {
    /// The bindings of a context.
    pub(super) fn bindings(&self, context: Context, read_only: bool) -> impl Iterator<Item = &Binding> {
        let available = move |binding: &&Binding| !(read_only && binding.command.changes());
        self.0.iter().filter(move |binding| binding.contexts.contains(context)).filter(available)
    }

    /// The command of a key in a context; `None` if the key is not bound.
    pub(super) fn command(&self, context: Context, event: KeyEvent, read_only: bool) -> Option<KeyCommand> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let here = self.bindings(context, read_only);
        let mut matching = here.filter(|binding| binding.chords.iter().any(|chord| chord.is(event)));
        matching.next().map(|binding| binding.command)
    }

    /// Name of the first key of a command in a context.
    pub(super) fn name(&self, context: Context, command: KeyCommand) -> String {
        let binding = self.bindings(context, false).find(|binding| binding.command == command);
        binding.and_then(|binding| binding.chords.first()).map_or("(no key)".to_owned(), |chord| chord.name())
    }

    /// Replaces the keys of a command on all screens.
    pub(super) fn set(&mut self, command: KeyCommand, chords: &[Chord]) {
        let of_command = |binding: &&mut Binding| binding.command == command && binding.is_configurable();
        for binding in self.0.iter_mut().filter(of_command) {
            binding.chords = Cow::Owned(chords.to_vec());
        }
    }

    /// Another command that has the same key in one of the contexts of this command.
    pub(super) fn conflict(&self, command: KeyCommand, chord: Chord) -> Option<KeyCommand> {
        let contexts =
            self.0.iter().filter(|binding| binding.command == command && binding.is_configurable());
        let contexts = contexts.fold(of(&[]), |all, binding| all.and(binding.contexts));
        let other = self.0.iter().find(|binding| {
            binding.command != command
                && binding.chords.contains(&chord)
                && binding.contexts.intersects(contexts)
        });
        other.map(|binding| binding.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_default_key_has_two_commands() {
        for (at, binding) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                let shares_context = binding.contexts.intersects(other.contexts);
                let shares_key = binding.chords.iter().any(|chord| other.chords.contains(chord));
                assert!(!(shares_context && shares_key), "{binding:?} {other:?}");
            }
        }
    }
}
