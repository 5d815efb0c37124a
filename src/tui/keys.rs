//! The key table: what handles input, and what help and footer are made from.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// The fleet screen.
    Fleet,
    /// The screen of one host.
    Host,
    /// The screen of all deployments.
    Deployments,
    /// The screen of one deployment.
    Deployment,
    /// The screen of the builder's builds.
    Builds,
    /// The screen of one build.
    Build,
    /// The screen of a log.
    Log,
    /// The search in a log is being typed.
    Search,
    /// The filter is being typed.
    Filter,
    /// A form.
    Form,
    /// A question with yes and no.
    Question,
    /// The command line.
    Command,
    /// The help.
    Help,
    /// An error box.
    Fault,
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table says it in words")]
pub enum Command {
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    Left,
    Right,
    Accept,
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
    Deployments,
    Builds,
    PaneDown,
    PaneUp,
    Log,
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

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chord(KeyCode, KeyModifiers);

/// Some keys that do one thing in some contexts.
#[derive(Debug)]
pub struct Binding {
    /// Where.
    pub contexts: &'static [Context],
    /// Which keys.
    pub chords: &'static [Chord],
    /// What they do.
    pub command: Command,
    /// The same for the help.
    pub does: &'static str,
    /// The same for the footer, where it stands there.
    pub hint: Option<&'static str>,
}

const fn code(code: KeyCode) -> Chord {
    Chord(code, KeyModifiers::NONE)
}

const fn key(c: char) -> Chord {
    code(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Chord {
    Chord(KeyCode::Char(c), KeyModifiers::CONTROL)
}

const fn binding(
    contexts: &'static [Context],
    chords: &'static [Chord],
    command: Command,
    does: &'static str,
    hint: Option<&'static str>,
) -> Binding {
    Binding { contexts, chords, command, does, hint }
}

const ALL: &[Context] = &[
    Context::Fleet,
    Context::Host,
    Context::Deployments,
    Context::Deployment,
    Context::Builds,
    Context::Build,
    Context::Log,
    Context::Search,
    Context::Filter,
    Context::Form,
    Context::Question,
    Context::Command,
    Context::Help,
    Context::Fault,
];
const FLEET: &[Context] = &[Context::Fleet];
const HOST: &[Context] = &[Context::Host];
const DEPLOYMENTS: &[Context] = &[Context::Deployments];
const DEPLOYMENT: &[Context] = &[Context::Deployment];
const LOG: &[Context] = &[Context::Log];
const SEARCH: &[Context] = &[Context::Search];
/// Where a command is about hosts.
const HOSTS: &[Context] = &[Context::Fleet, Context::Host];
/// Where a command is about a deployment.
const OF_DEPLOYMENT: &[Context] = &[Context::Deployments, Context::Deployment];
/// Every screen.
const SCREENS: &[Context] = &[
    Context::Fleet,
    Context::Host,
    Context::Deployments,
    Context::Deployment,
    Context::Builds,
    Context::Build,
    Context::Log,
];
/// Where stepping back only closes the screen.
const CLOSES: &[Context] =
    &[Context::Host, Context::Deployments, Context::Deployment, Context::Builds, Context::Build];
const SCROLLS: &[Context] = &[
    Context::Fleet,
    Context::Host,
    Context::Deployments,
    Context::Deployment,
    Context::Builds,
    Context::Build,
    Context::Help,
];
const BUILDS: &[Context] = &[Context::Builds];
/// Where a command is about a build.
const OF_BUILD: &[Context] = &[Context::Builds, Context::Build];
const COMMAND: &[Context] = &[Context::Command];
const FORM: &[Context] = &[Context::Form];
const CHOOSES: &[Context] = &[Context::Form, Context::Question];

/// Every key. The order is that of help and footer; where that is narrow, the last leave it first.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    binding(HOSTS, &[key('d')], Command::Deploy, "deploy to the marked hosts, or to this one", Some("deploy")),
    binding(HOSTS, &[key('c')], Command::Cancel, "cancel the job of the marked hosts, or of this one", Some("cancel")),
    binding(FLEET, &[code(KeyCode::Enter)], Command::Open, "all of this host; on a group: fold or unfold it", Some("host")),
    binding(FLEET, &[key('/')], Command::Filter, "filter the hosts, by text and by the terms below", Some("filter")),
    binding(FLEET, &[key('f')], Command::Faults, "only hosts that need attention, or all", Some("faults")),
    binding(HOSTS, &[key('l')], Command::Log, "the log of its job, the running one or else the last", Some("log")),
    binding(FLEET, &[key(' ')], Command::Mark, "mark this host and go to the next", Some("mark")),
    binding(FLEET, &[key('a')], Command::MarkAll, "mark every host shown, or none", None),
    binding(HOSTS, &[key('v')], Command::Deployments, "the deployments of all operators, running and past", Some("deployments")),
    binding(FLEET, &[key('B')], Command::Builds, "the builds of the builder, running and past", None),
    binding(BUILDS, &[code(KeyCode::Enter)], Command::Open, "each host of this build", Some("open")),
    binding(OF_BUILD, &[key('y')], Command::Copy, "copy the commit of this build", Some("copy commit")),
    binding(DEPLOYMENTS, &[code(KeyCode::Enter)], Command::Open, "each host of this deployment", Some("open")),
    binding(DEPLOYMENT, &[code(KeyCode::Enter)], Command::Open, "all of this host", Some("host")),
    binding(DEPLOYMENT, &[key('l')], Command::Log, "the log of this host's job", Some("log")),
    binding(DEPLOYMENT, &[key('d')], Command::Deploy, "deploy to the hosts that did not complete", Some("deploy to the rest")),
    binding(OF_DEPLOYMENT, &[key('c')], Command::Cancel, "cancel what still runs of this deployment", Some("cancel")),
    binding(OF_DEPLOYMENT, &[key('a')], Command::Abort, "abort: no further wave of this deployment begins", Some("abort")),
    binding(FLEET, &[key('t')], Command::Group, "group by tier and role, or not", Some("group")),
    binding(FLEET, &[code(KeyCode::Left)], Command::Fold, "fold the group", None),
    binding(FLEET, &[code(KeyCode::Right)], Command::Unfold, "unfold the group", None),
    binding(FLEET, &[key('s')], Command::Sort, "sort by the next column", Some("sort")),
    binding(FLEET, &[key('S')], Command::Reverse, "sort the other way around", None),
    binding(HOSTS, &[key('b')], Command::Rollback, "roll back to the selected generation, or to the previous system", Some("roll back")),
    binding(HOSTS, &[ctrl('r')], Command::Reboot, "reboot the marked hosts, or this one", Some("reboot")),
    binding(HOST, &[key('x')], Command::Shell, "a shell there; on a failed unit its journal", Some("shell")),
    binding(HOSTS, &[key('D')], Command::Diff, "diff: what a deployment would change", Some("diff")),
    binding(FLEET, &[key('w')], Command::Wide, "columns of the system, or of the deployment", Some("wide")),
    binding(HOSTS, &[key('y')], Command::Copy, "copy the names of the marked hosts, or of this one", None),
    binding(DEPLOYMENTS, &[key('y')], Command::Copy, "copy the commit of this deployment, or else its id", None),
    binding(DEPLOYMENT, &[key('y')], Command::Copy, "copy the name of this host", None),
    binding(LOG, &[key('F')], Command::Follow, "follow the end, or no more", Some("follow")),
    binding(LOG, &[key('W')], Command::Wrap, "wrap long lines, or no more", Some("wrap")),
    binding(LOG, &[key('/')], Command::Search, "search; an upper-case letter makes case matter", Some("search")),
    binding(LOG, &[key('n')], Command::NextMatch, "to the next line that matches", Some("next")),
    binding(LOG, &[key('N')], Command::PreviousMatch, "to the line before that matches", None),
    binding(LOG, &[key('t')], Command::Times, "show when lines came that came live, or no more", Some("times")),
    binding(LOG, &[key('S')], Command::Save, "save it here as HOST-JOB.log, as the job wrote it", Some("save")),
    binding(LOG, &[key('j'), code(KeyCode::Down)], Command::Down, "down a line", None),
    binding(LOG, &[key('k'), code(KeyCode::Up)], Command::Up, "up a line, and follow no more", None),
    binding(LOG, &[code(KeyCode::PageDown)], Command::PageDown, "a page down", None),
    binding(LOG, &[code(KeyCode::PageUp)], Command::PageUp, "a page up, and follow no more", None),
    binding(LOG, &[code(KeyCode::Home), key('g')], Command::First, "to the first line, and follow no more", None),
    binding(LOG, &[code(KeyCode::End), key('G')], Command::Last, "to the end, and follow it", None),
    binding(LOG, &[code(KeyCode::Left)], Command::Left, "to the left", None),
    binding(LOG, &[code(KeyCode::Right)], Command::Right, "to the right, where long lines are not wrapped", None),
    binding(SCROLLS, &[key('j'), code(KeyCode::Down)], Command::Down, "down", None),
    binding(SCROLLS, &[key('k'), code(KeyCode::Up)], Command::Up, "up", None),
    binding(SCROLLS, &[code(KeyCode::PageDown)], Command::PageDown, "a page down", None),
    binding(SCROLLS, &[code(KeyCode::PageUp)], Command::PageUp, "a page up", None),
    binding(SCROLLS, &[code(KeyCode::Home), key('g')], Command::First, "to the first", None),
    binding(SCROLLS, &[code(KeyCode::End), key('G')], Command::Last, "to the last", None),
    binding(DEPLOYMENT, &[key('J')], Command::PaneDown, "the lines of this host down", None),
    binding(DEPLOYMENT, &[key('K')], Command::PaneUp, "the lines of this host up", None),
    binding(FORM, &[code(KeyCode::Tab), code(KeyCode::Down)], Command::Down, "the next field; the buttons are the last", Some("fields and buttons")),
    binding(FORM, &[code(KeyCode::BackTab), code(KeyCode::Up)], Command::Up, "the field before", None),
    binding(CHOOSES, &[code(KeyCode::Left)], Command::Left, "the choice before", None),
    binding(CHOOSES, &[code(KeyCode::Right)], Command::Right, "the next choice", Some("change")),
    binding(FORM, &[code(KeyCode::PageDown)], Command::PageDown, "scroll the hosts down", Some("hosts")),
    binding(FORM, &[code(KeyCode::PageUp)], Command::PageUp, "scroll the hosts up", None),
    binding(&[Context::Question], &[key('y')], Command::Yes, "yes", Some("yes")),
    binding(&[Context::Question], &[key('n')], Command::No, "no", Some("no")),
    binding(&[Context::Question], &[code(KeyCode::Tab)], Command::Right, "the other choice", None),
    binding(CHOOSES, &[code(KeyCode::Enter)], Command::Accept, "take the choice and go on", Some("choose")),
    binding(&[Context::Filter], &[code(KeyCode::Enter)], Command::Accept, "keep the filter", Some("keep")),
    binding(SEARCH, &[code(KeyCode::Enter)], Command::Accept, "keep the search", Some("keep")),
    binding(SEARCH, &[code(KeyCode::Esc)], Command::Back, "back to what was in view before", Some("back")),
    binding(&[Context::Fault], &[code(KeyCode::Enter), code(KeyCode::Esc), key('q')], Command::Back, "close", Some("close")),
    binding(&[Context::Help], &[key('?'), key('q'), code(KeyCode::Esc)], Command::Back, "close the help", Some("close")),
    binding(&[Context::Filter, Context::Form, Context::Question, Context::Command], &[code(KeyCode::Esc)], Command::Back, "step back", Some("back")),
    binding(FLEET, &[code(KeyCode::Esc)], Command::Back, "step back: clear the filter, then the marks", None),
    binding(CLOSES, &[code(KeyCode::Esc), key('q')], Command::Back, "step back", Some("back")),
    binding(LOG, &[code(KeyCode::Esc), key('q')], Command::Back, "step back: end the search, then close the log", Some("back")),
    binding(COMMAND, &[code(KeyCode::Tab)], Command::Complete, "complete the word", Some("complete")),
    binding(COMMAND, &[code(KeyCode::Up)], Command::Up, "the line before", None),
    binding(COMMAND, &[code(KeyCode::Down)], Command::Down, "the line after", None),
    binding(COMMAND, &[code(KeyCode::Enter)], Command::Accept, "carry it out", Some("carry out")),
    binding(SCREENS, &[key(':')], Command::CommandLine, "command line: every action by its name", Some("command")),
    binding(SCREENS, &[key('?')], Command::Help, "this help", Some("help")),
    binding(FLEET, &[key('q')], Command::Quit, "leave", Some("quit")),
    binding(ALL, &[ctrl('l')], Command::Redraw, "draw the screen anew", None),
    binding(ALL, &[ctrl('z')], Command::Suspend, "suspend", None),
    binding(ALL, &[ctrl('c')], Command::Leave, "leave from anywhere", None),
];

impl Command {
    /// Whether it leads to something being done on a host.
    pub fn changes(self) -> bool {
        use Command::{Abort, Cancel, Deploy, Diff, Reboot, Rollback, Shell};
        matches!(self, Deploy | Rollback | Reboot | Diff | Shell | Cancel | Abort)
    }
}

/// The keys that there are in a context.
pub(super) fn bindings(context: Context, read_only: bool) -> impl Iterator<Item = &'static Binding> {
    let there = move |binding: &&Binding| !(read_only && binding.command.changes());
    KEYS.iter().filter(move |binding| binding.contexts.contains(&context)).filter(there)
}

/// What a key does in a context; nothing where it is not in the table.
pub(super) fn command(context: Context, event: KeyEvent, read_only: bool) -> Option<Command> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let here = bindings(context, read_only);
    let mut matching = here.filter(|binding| binding.chords.iter().any(|chord| chord.is(event)));
    matching.next().map(|binding| binding.command)
}

impl Chord {
    /// Terminals differ in whether shift is told beside an upper-case letter.
    fn is(self, event: KeyEvent) -> bool {
        self.0 == event.code && self.1 == event.modifiers.difference(KeyModifiers::SHIFT)
    }

    /// The key as a terminal tells of it.
    pub(super) fn event(self) -> KeyEvent {
        KeyEvent::new(self.0, self.1)
    }

    /// Reads keys as they are written for a snapshot: characters, and names such as `<enter>` or `<ctrl-r>`.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        let mut chords = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            chords.push(match rest.split_once('>') {
                Some((name, after)) if c == '<' => {
                    rest = after;
                    Self::named(name).ok_or_else(|| format!("no key <{name}>"))?
                }
                _ => key(c),
            });
        }
        Ok(chords)
    }

    fn named(name: &str) -> Option<Self> {
        if let Some(with) = name.strip_prefix("ctrl-") {
            let mut chars = with.chars();
            return chars.next().filter(|_| chars.next().is_none()).map(ctrl);
        }
        let codes = [
            KeyCode::Enter,
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::BackTab,
            KeyCode::Backspace,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::Home,
            KeyCode::End,
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Char(' '),
        ];
        codes.into_iter().map(code).find(|chord| chord.name() == name)
    }

    /// The name of the key.
    pub fn name(self) -> String {
        let name = match self.0 {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            other => format!("{other:?}").to_ascii_lowercase(),
        };
        if self.1.contains(KeyModifiers::CONTROL) { format!("ctrl-{name}") } else { name }
    }
}

impl Binding {
    /// The names of its keys.
    pub fn names(&self) -> String {
        self.chords.iter().map(|chord| chord.name()).collect::<Vec<_>>().join(" ")
    }
}
