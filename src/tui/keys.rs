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
    /// The filter is being typed.
    Filter,
    /// The deploy form.
    Form,
    /// A question with yes and no.
    Question,
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
    Deploy,
    Cancel,
    Deployments,
    PaneDown,
    PaneUp,
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
    Context::Filter,
    Context::Form,
    Context::Question,
    Context::Help,
    Context::Fault,
];
const FLEET: &[Context] = &[Context::Fleet];
/// Where a command is about hosts.
const HOSTS: &[Context] = &[Context::Fleet, Context::Host];
/// Every screen.
const SCREENS: &[Context] = &[Context::Fleet, Context::Host, Context::Deployments, Context::Deployment];
/// Every screen over the fleet screen.
const OVER: &[Context] = &[Context::Host, Context::Deployments, Context::Deployment];
const DEPLOYMENTS: &[Context] = &[Context::Deployments];
const DEPLOYMENT: &[Context] = &[Context::Deployment];
/// Where a command is about a deployment.
const OF_DEPLOYMENT: &[Context] = &[Context::Deployments, Context::Deployment];
const SCROLLS: &[Context] = &[Context::Fleet, Context::Deployments, Context::Deployment, Context::Help];
const FORM: &[Context] = &[Context::Form];
const CHOOSES: &[Context] = &[Context::Form, Context::Question];

/// Every key. The order is that of help and footer.
#[rustfmt::skip]
pub const KEYS: &[Binding] = &[
    binding(HOSTS, &[key('d')], Command::Deploy, "deploy to the marked hosts, or to this one", Some("deploy")),
    binding(FLEET, &[key(' ')], Command::Mark, "mark this host and go to the next", Some("mark")),
    binding(FLEET, &[key('a')], Command::MarkAll, "mark every host shown, or none", None),
    binding(HOSTS, &[key('c')], Command::Cancel, "cancel the job of the marked hosts, or of this one", Some("cancel")),
    binding(FLEET, &[code(KeyCode::Enter)], Command::Open, "all of this host", Some("host")),
    binding(FLEET, &[key('/')], Command::Filter, "filter: text, tier: role: state: rev: host: seen>1m, ! turns around", Some("filter")),
    binding(HOSTS, &[key('v')], Command::Deployments, "the deployments of all operators, running and past", Some("deployments")),
    binding(DEPLOYMENTS, &[code(KeyCode::Enter)], Command::Open, "each host of this deployment", Some("open")),
    binding(DEPLOYMENT, &[code(KeyCode::Enter)], Command::Open, "all of this host", Some("host")),
    binding(DEPLOYMENT, &[key('d')], Command::Deploy, "deploy to the hosts that did not complete", Some("deploy to the rest")),
    binding(OF_DEPLOYMENT, &[key('c')], Command::Cancel, "cancel what still runs of this deployment", Some("cancel")),
    binding(FLEET, &[key('s')], Command::Sort, "sort by the next column", Some("sort")),
    binding(FLEET, &[key('S')], Command::Reverse, "sort the other way around", None),
    binding(SCROLLS, &[key('j'), code(KeyCode::Down)], Command::Down, "down", None),
    binding(SCROLLS, &[key('k'), code(KeyCode::Up)], Command::Up, "up", None),
    binding(SCROLLS, &[code(KeyCode::PageDown)], Command::PageDown, "a page down", None),
    binding(SCROLLS, &[code(KeyCode::PageUp)], Command::PageUp, "a page up", None),
    binding(SCROLLS, &[code(KeyCode::Home), key('g')], Command::First, "to the first", None),
    binding(SCROLLS, &[code(KeyCode::End), key('G')], Command::Last, "to the last", None),
    binding(DEPLOYMENT, &[key('J')], Command::PaneDown, "the lines of this host down", None),
    binding(DEPLOYMENT, &[key('K')], Command::PaneUp, "the lines of this host up", None),
    binding(FORM, &[code(KeyCode::Tab), code(KeyCode::Down)], Command::Down, "the next field", Some("next")),
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
    binding(&[Context::Fault], &[code(KeyCode::Enter), code(KeyCode::Esc), key('q')], Command::Back, "close", Some("close")),
    binding(&[Context::Help], &[key('?'), key('q'), code(KeyCode::Esc)], Command::Back, "close the help", Some("close")),
    binding(&[Context::Filter, Context::Form, Context::Question], &[code(KeyCode::Esc)], Command::Back, "step back", Some("back")),
    binding(FLEET, &[code(KeyCode::Esc)], Command::Back, "step back: clear the filter, then the marks", None),
    binding(OVER, &[code(KeyCode::Esc), key('q')], Command::Back, "step back", Some("back")),
    binding(SCREENS, &[key('?')], Command::Help, "this help", Some("help")),
    binding(FLEET, &[key('q')], Command::Quit, "leave", Some("quit")),
    binding(ALL, &[ctrl('l')], Command::Redraw, "draw the screen anew", None),
    binding(ALL, &[ctrl('z')], Command::Suspend, "suspend", None),
    binding(ALL, &[ctrl('c')], Command::Leave, "leave from anywhere", None),
];

impl Command {
    /// Whether it leads to a request that does something on a host.
    pub fn changes(self) -> bool {
        matches!(self, Self::Deploy | Self::Cancel)
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
