//! The form: its fields, the exact hosts, the confirmation and two buttons.

use super::dialogs::buttons;
use super::lines::wrapped;
use super::panel::{draw_dialog, draw_scrollbar, paragraph};
use super::{above_footer, commits};
use crate::fleet::{Reachability, describe};
use crate::protocol::{Action, Name, is_commit};
use crate::text::format;
use crate::tui::form::{Field, Form};
use crate::tui::form_notes::HostNotes;
use crate::tui::{App, BatchPreset, Context, FormKind, KeyCommand, Theme, Tone, text};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Margin, Position, Rect, Size};
use ratatui::text::{Line, Span};

/// Maximum inner width of the form.
const MAX_WIDTH: u16 = 92;
/// Width of the labels.
const LABEL: usize = 10;
/// Maximum width of a name.
const MAX_NAME: usize = 20;
/// Minimum height for blank lines in the form.
const MIN_HEIGHT_FOR_BLANKS: u16 = 16;

/// The lines above and below the hosts.
struct FormLayout {
    columns: usize,
    top: Vec<Line<'static>>,
    bottom: Vec<Line<'static>>,
    /// Number of hosts that fit between them.
    available: usize,
}

impl FormLayout {
    fn of(app: &App, form: &Form, area: Size) -> Self {
        let theme = &app.options.theme;
        let columns = usize::from(MAX_WIDTH.min(area.width.saturating_sub(4)));
        let (mut top, mut bottom) = (fields(app, form, columns), footer_lines(form, columns, theme));
        if area.height >= MIN_HEIGHT_FOR_BLANKS {
            top.extend(head_commit(app, form, columns));
            top.extend(summary(form, columns, theme));
            top.push(Line::default());
            bottom.insert(0, Line::default());
        }
        let available = usize::from(area.height).saturating_sub(2 + top.len() + bottom.len());
        Self { columns, top, bottom, available }
    }
}

/// Number of hosts that a page key scrolls by.
pub(in crate::tui) fn page(app: &App, form: &Form) -> usize {
    let area = above_footer(Rect::from((Position::ORIGIN, app.size)));
    FormLayout::of(app, form, area.as_size()).available.max(1)
}

pub(super) fn draw(app: &App, form: &Form, frame: &mut Frame<'_>, area: Rect) -> Option<Position> {
    let theme = &app.options.theme;
    let FormLayout { columns, top, bottom, available } = FormLayout::of(app, form, area.as_size());
    let hosts = form.selected_choice().hosts.len();
    let first = form.top.min(hosts.saturating_sub(available.max(1)));
    let rows = form.rows();
    let widths = widths(app, rows.iter().map(|(_, host)| *host));
    let rows = rows.iter().skip(first).take(available);
    let list: Vec<_> = rows.map(|(batch, host)| row(app, form, *batch, host, widths)).collect();
    let in_view = list.len();
    let mut title = Line::from(theme.span(Tone::Title, format!(" {} ", form.kind.title())));
    if in_view < hosts {
        let (from, to) = (first + 1, first + in_view);
        title.push_span(theme.span(Tone::Warn, format!(" hosts {from}-{to} of {hosts}, pgdn pgup ")));
    }
    let inside = draw_dialog(frame, theme, area, columns, top.len() + bottom.len() + in_view, title);
    let length = |lines: &[Line<'_>]| Constraint::Length(u16::try_from(lines.len()).unwrap_or(u16::MAX));
    let blank = bottom.iter().take_while(|line| line.width() == 0).count();
    let layout = Layout::vertical([length(&top), Constraint::Fill(1), length(&bottom)]);
    let [above, middle, below] = inside.layout(&layout);
    for (lines, area) in [(top, above), (list, middle), (bottom, below)] {
        frame.render_widget(paragraph(theme, area.width, lines), area);
    }
    let panel = inside.outer(Margin::new(2, 1));
    draw_scrollbar(
        frame,
        theme,
        Rect { height: middle.bottom() + 1 - panel.y, ..panel },
        above.height + 1,
        first,
        in_view,
        hosts,
    );
    cursor(form, inside, usize::from(below.y - inside.y) + blank)
}

fn label(theme: &Theme, name: &str, form: &Form, field: Field) -> Span<'static> {
    let tone = if form.focus == field { Tone::Selected } else { Tone::Plain };
    theme.span(tone, format!("{name:<LABEL$}"))
}

/// The label of a text that cannot be changed.
fn fixed_label(theme: &Theme, name: &str) -> Span<'static> {
    theme.span(Tone::Plain, format!("{name:<LABEL$}  "))
}

/// The choices of a field; if they do not fit, only the selected one.
fn choice(
    theme: &Theme,
    label: Span<'static>,
    columns: usize,
    labels: &[&str],
    chosen: usize,
) -> Line<'static> {
    let mut line = label.clone() + Span::raw(" ");
    for (at, text) in labels.iter().enumerate() {
        let choice = if at == chosen {
            theme.span(Tone::Title, format!("[{text}]"))
        } else {
            theme.span(Tone::Dim, format!(" {text} "))
        };
        line.extend([choice, Span::raw(" ")]);
    }
    if line.width() <= columns {
        return line;
    }
    let only = theme.span(Tone::Title, format!(" [{}]", labels[chosen]));
    label + only + theme.span(Tone::Dim, format!(" {} of {}", chosen + 1, labels.len()))
}

fn fields(app: &App, form: &Form, columns: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let choice = |name: &str, field: Field, labels: &[&str], chosen: usize| {
        choice(theme, label(theme, name, form, field), columns, labels, chosen)
    };
    let targets: Vec<_> = form.choices.iter().map(|choice| choice.label.as_str()).collect();
    let mut lines = vec![choice("hosts", Field::Targets, &targets, form.choice)];
    if form.kind.needs_revision() {
        lines.push(revision(form, columns, theme));
    }
    let actions = form.kind.actions();
    if actions.len() > 1 {
        let actions: Vec<_> = actions.iter().map(Action::as_str).collect();
        lines.push(choice("action", Field::Action, &actions, form.action));
    }
    if form.fields().contains(&Field::Batches) {
        lines.push(batches(app, form, columns));
    }
    if let Some(older) = form.allow_older {
        lines.push(choice("older", Field::AllowOlder, &["refused", "allowed"], usize::from(older)));
    }
    if !form.flakes.is_empty() {
        let flakes = text::fit(&form.flakes, columns.saturating_sub(LABEL + 2), theme.symbols().cut);
        lines.push(fixed_label(theme, "flake") + theme.span(Tone::Dim, flakes));
    }
    if let FormKind::Rollback(_) = form.kind {
        let target = form.kind.target_label("");
        lines.push(fixed_label(theme, "back to") + theme.span(Tone::Title, target));
    }
    lines
}

/// The commit that would be deployed, with its subject, author and age.
fn head_commit(app: &App, form: &Form, columns: usize) -> Option<Line<'static>> {
    let theme = &app.options.theme;
    let mut known = form.commits.iter().filter_map(|commit| app.commits.info(commit));
    let first = known.next()?;
    let more = known.count();
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let available = columns.saturating_sub(LABEL + 2 + text::width(&more));
    let commit = commits::line(app, first, available, theme);
    Some(fixed_label(theme, "commit") + commit + theme.span(Tone::Dim, more))
}

/// The number of hosts in each tier, and of hosts that need attention.
fn summary(form: &Form, columns: usize, theme: &Theme) -> Option<Line<'static>> {
    let is_wanted = form.selected_choice().hosts.len() > 1 && !form.summary.is_empty();
    let summary = text::fit(&form.summary, columns.saturating_sub(LABEL + 2), theme.symbols().cut);
    is_wanted.then(|| fixed_label(theme, "in all") + theme.span(Tone::Dim, summary))
}

/// The typed revision and its completion.
fn revision(form: &Form, columns: usize, theme: &Theme) -> Line<'static> {
    let typed = text::window(&form.revision, columns.saturating_sub(LABEL + 2)).0;
    let label = label(theme, "revision", form, Field::Revision);
    let mut line = label + theme.span(Tone::Plain, format!("  {typed}"));
    if let Some(whole) = form.completion().filter(|_| form.focus == Field::Revision) {
        line.push_span(theme.span(Tone::Dim, whole[form.revision.value().len()..].to_owned()));
    }
    line
}

/// The typed batch options and the number of batches.
fn batches(app: &App, form: &Form, columns: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let typed = text::window(&form.batches, columns.saturating_sub(LABEL + 2)).0;
    let batches = form.plan.as_ref().map_or(0, |plan| plan.rollout.batches().len());
    let hint = match batches {
        _ if form.batches.value().trim().is_empty() => {
            let key = app.options.keys.name(Context::Form, KeyCommand::Batches);
            format!("all at once; {key} presets, or batch=25% canary=1 max-failures=0 pause=60")
        }
        0 | 1 => String::new(),
        batches => match BatchPreset::of(form.batches.value()) {
            Some(preset) => format!("   {batches} batches: {}", preset.label),
            None => format!("   {batches} batches"),
        },
    };
    let label = label(theme, "batches", form, Field::Batches);
    label + theme.span(Tone::Plain, format!("  {typed}")) + theme.span(Tone::Dim, hint)
}

/// Widths of the names, tiers and roles of these hosts. The table may show others.
fn widths<'a>(app: &App, hosts: impl Iterator<Item = &'a Name>) -> [usize; 3] {
    let mut widths = [0; 3];
    for host in hosts.filter_map(|name| app.fleet.hosts.get(name)) {
        let names = [Some(&host.name), host.tier.as_ref(), host.role.as_ref()];
        for (width, name) in widths.iter_mut().zip(names) {
            *width = (*width).max(name.map_or(0, |name| name.as_str().len()).min(MAX_NAME));
        }
    }
    widths
}

/// A host: its running revision, the new one, and whether it is reachable.
fn row(
    app: &App,
    form: &Form,
    batch: Option<usize>,
    name: &Name,
    [host_width, tier_width, role_width]: [usize; 3],
) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let batch = batch.map_or(Span::raw("  "), |batch| theme.span(Tone::Dim, format!("{batch:>3}  ")));
    let Some(host) = app.fleet.hosts.get(name) else {
        return theme.span(Tone::Bad, format!("  {name} is no longer known")).into();
    };
    let seen = host
        .last_seen
        .map_or("never seen".to_owned(), |seen| format!("seen {} ago", format::age(seen, app.now)));
    let (symbol, tone, note) = match host.reachability(app.now) {
        Reachability::Online if host.running_job().is_some() => {
            (symbols.working, Tone::Warn, "a job is running".to_owned())
        }
        Reachability::Online => (symbols.online, Tone::Good, String::new()),
        Reachability::Stale => (symbols.stale, Tone::Warn, format!("stale, {seen}")),
        Reachability::Restarting => (symbols.restarting, Tone::Warn, format!("restarting, {seen}")),
        Reachability::Offline => (symbols.offline, Tone::Warn, format!("offline, {seen}")),
    };
    let shown = |name: Option<&Name>, width: usize| {
        let text = text::fit(name.map_or("", Name::as_str), width, symbols.cut);
        format!("{text:<width$}  ")
    };
    let names = [
        shown(Some(&host.name), host_width),
        shown(host.tier.as_ref(), tier_width),
        shown(host.role.as_ref(), role_width),
    ];
    let names = theme.span(Tone::Plain, format!(" {}", names.concat()));
    let reason = form.plan.as_ref().ok().and_then(|plan| plan.left_out.get(name));
    if let Some(reason) = reason {
        let reason = theme.span(Tone::Bad, format!("left out: {reason}"));
        return Line::from(vec![batch, theme.span(Tone::Bad, symbol), names, reason]);
    }
    let runs = describe::running_revision(host);
    let revision = form.revision.value().trim();
    let head = form.commits.first().filter(|_| form.commits.len() == 1);
    let revision = match head {
        _ if is_commit(revision) => format::short_commit(revision).to_owned(),
        Some(head) => format!("{revision} {}", format::short_commit(head)),
        None => revision.to_owned(),
    };
    let then = form.kind.target_label(&revision);
    let change = format!("{runs} {} {then}", symbols.becomes);
    let change = change.trim_start();
    let change = theme.span(Tone::Plain, format!("{change}  "));
    let notes = HostNotes::of(host, &form.commits);
    let words: Vec<_> = (!note.is_empty()).then_some(&*note).into_iter().chain(notes.words()).collect();
    let tone = match tone {
        Tone::Good if notes.is_held || notes.has_failed => Tone::Bad,
        Tone::Good if notes.needs_reboot => Tone::Warn,
        Tone::Good if notes.runs_it => Tone::Dim,
        tone => tone,
    };
    let mark = match tone {
        Tone::Bad => symbols.failed,
        Tone::Dim => symbols.done,
        _ => symbol,
    };
    Line::from(vec![batch, theme.span(tone, mark), names, change, theme.span(tone, words.join(", "))])
}

/// The confirmation, the error, and the buttons.
fn footer_lines(form: &Form, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if !form.required_confirmation.is_empty() {
        let typed = text::window(&form.confirm, columns.saturating_sub(LABEL + 2)).0;
        let hint =
            if typed.is_empty() { format!("type {}", form.required_confirmation) } else { String::new() };
        let label = label(theme, "confirm", form, Field::Confirm);
        lines.push(label + theme.span(Tone::Plain, format!("  {typed}")) + theme.span(Tone::Dim, hint));
    }
    if let Some(revision) = &form.looked_up {
        lines.push(theme.span(Tone::Busy, format!("looking up {revision}")).into());
    }
    let error = form.error.as_ref().or(form.plan.as_ref().err());
    lines.extend(error.iter().flat_map(|error| wrapped(theme, Tone::Bad, error, columns)).take(3));
    let left_out = form.plan.as_ref().map_or(0, |plan| plan.left_out.len());
    let send = form.kind.button(form.selected_choice().hosts.len() - left_out);
    let labels = [("Cancel", form.focus == Field::Cancel), (&*send, form.focus == Field::Send)];
    lines.push(buttons(theme, &labels));
    lines
}

fn cursor(form: &Form, inside: Rect, end: usize) -> Option<Position> {
    let (input, line) = match form.focus {
        Field::Revision => (&form.revision, 1),
        Field::Batches => (&form.batches, if form.kind.needs_revision() { 3 } else { 1 }),
        Field::Confirm => (&form.confirm, end),
        _ => return None,
    };
    let add = |start: u16, by: usize, most: u16| {
        start.saturating_add(u16::try_from(by).unwrap_or(u16::MAX)).min(most)
    };
    let columns = usize::from(inside.width).saturating_sub(LABEL + 2);
    let x = add(inside.x, LABEL + 2 + text::window(input, columns).1, inside.right().saturating_sub(1));
    Some(Position::new(x, add(inside.y, line, inside.bottom().saturating_sub(1))))
}
