//! A form: its fields, the exact hosts, what must be typed, and two buttons.

use super::boxes::buttons;
use super::painter::{Painter, Piece, width};
use crate::fleet::{Presence, words};
use crate::protocol::{Action, Name};
use crate::tui::form::{Field, Form};
use crate::tui::{App, Purpose, Tone, text};
use ratatui::layout::{Position, Rect};

/// How many hosts a page key scrolls by.
pub(in crate::tui) const PAGE: usize = 8;
/// The widest that the form becomes inside.
const WIDEST: u16 = 92;
/// The columns of the labels.
const LABEL: usize = 10;

pub(super) fn draw(app: &App, form: &Form, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let columns = usize::from(WIDEST.min(area.width.saturating_sub(4)));
    let top = fields(form, columns);
    let bottom = ending(form, columns);
    let hosts = &form.chosen().hosts;
    let room = usize::from(area.height).saturating_sub(2 + top.len() + bottom.len());
    let title = [Tone::Title.text(format!(" {} ", form.purpose.title()))];
    let lines = top.len() + bottom.len() + hosts.len().min(room);
    let inside = painter.dialog(area, columns, lines, &title);
    painter.lines(inside, &top);
    // In view, from the top on: as many as there is room for, and a line that tells of the others.
    let mut list: Vec<Vec<Piece>> =
        hosts.iter().skip(form.top).map(|host| row(app, form, host)).take(room).collect();
    let rest = hosts.len().saturating_sub(form.top + list.len());
    if rest > 0 && room > 1 {
        list.truncate(room - 1);
        let symbols = painter.theme.symbols();
        list.push(vec![Tone::Dim.text(format!("  {} {} more, pgdn shows them", symbols.cut, rest + 1))]);
    }
    let place = |y: usize, height: usize| {
        let y = inside.y.saturating_add(u16::try_from(y).unwrap_or(u16::MAX)).min(inside.bottom());
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(inside.bottom() - y);
        Rect { y, height, ..inside }
    };
    painter.lines(place(top.len(), list.len()), &list);
    let end = usize::from(inside.height).saturating_sub(bottom.len());
    painter.lines(place(end, bottom.len()), &bottom);
    cursor(form, inside, end)
}

fn label(name: &str, form: &Form, field: Field) -> Piece {
    let tone = if form.field == field { Tone::Selected } else { Tone::Plain };
    tone.text(format!("{name:<LABEL$}"))
}

fn fields(form: &Form, columns: usize) -> Vec<Vec<Piece>> {
    let choices = |labels: Vec<&str>, chosen: usize| {
        let mut line: Vec<Piece> = vec![Tone::Plain.text(" ")];
        for (at, label) in labels.into_iter().enumerate() {
            if at == chosen {
                line.push(Tone::Title.text(format!("[{label}]")));
            } else {
                line.push(Tone::Dim.text(format!(" {label} ")));
            }
            line.push(Tone::Plain.text(" "));
        }
        line
    };
    let targets = choices(form.choices.iter().map(|choice| choice.label.as_str()).collect(), form.choice);
    let mut targets = [vec![label("hosts", form, Field::Targets)], targets].concat();
    if width(&targets) > columns {
        let (at, of) = (form.choice + 1, form.choices.len());
        let chosen = Tone::Title.text(format!(" [{}]", form.chosen().label));
        targets =
            vec![label("hosts", form, Field::Targets), chosen, Tone::Dim.text(format!(" {at} of {of}"))];
    }
    let mut lines = vec![targets];
    if form.purpose.asks_revision() {
        lines.push(revision(form));
    }
    let actions = form.purpose.actions();
    if actions.len() > 1 {
        let actions = choices(actions.iter().map(Action::as_str).collect(), form.action);
        lines.push([vec![label("action", form, Field::Action)], actions].concat());
    }
    if let Purpose::Rollback(_) = form.purpose {
        let goal = form.purpose.goal("");
        lines.push(vec![
            Tone::Plain.text(format!("{:<LABEL$}", "back to")),
            Tone::Title.text(format!("  {goal}")),
        ]);
    }
    lines.push(Vec::new());
    lines
}

/// The revision as typed, and what completes it.
fn revision(form: &Form) -> Vec<Piece> {
    let mut revision = vec![label("revision", form, Field::Revision)];
    revision.push(Tone::Plain.text(format!("  {}", form.revision.value())));
    if let Some(whole) = form.completion().filter(|_| form.field == Field::Revision) {
        revision.push(Tone::Dim.text(whole[form.revision.value().len()..].to_owned()));
    }
    revision
}

/// One host: what runs there, and whether it will hear of this.
fn row(app: &App, form: &Form, name: &Name) -> Vec<Piece> {
    let symbols = app.options.theme.symbols();
    let [host_width, tier_width, role_width] = app.table.widths.map(|width| width.min(20));
    let Some(host) = app.fleet.hosts.get(name) else {
        return vec![Tone::Bad.text(format!("  {name} is gone"))];
    };
    let seen =
        host.seen.map_or("never seen".to_owned(), |seen| format!("seen {} ago", words::age(seen, app.now)));
    let (symbol, tone, note) = match host.presence(app.now) {
        Presence::Online if host.running_job().is_some() => {
            (symbols.working, Tone::Warn, "a job runs there".to_owned())
        }
        Presence::Online => (symbols.online, Tone::Good, String::new()),
        Presence::Stale => (symbols.stale, Tone::Warn, format!("stale, {seen}")),
        Presence::Restarting => (symbols.restarting, Tone::Warn, format!("restarting, {seen}")),
        Presence::Offline => (symbols.offline, Tone::Warn, format!("offline, {seen}")),
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
    let runs = words::runs(host);
    let then = form.purpose.goal(form.revision.value().trim());
    let change = if runs.is_empty() {
        format!("{} {then}", symbols.then)
    } else {
        format!("{runs} {} {then}", symbols.then)
    };
    vec![
        Tone::Plain.text("  "),
        tone.text(symbol),
        Tone::Plain.text(format!(" {}", names.concat())),
        Tone::Plain.text(format!("{change}  ")),
        tone.text(note),
    ]
}

/// What must be typed, what is wrong, and the buttons.
fn ending(form: &Form, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines = vec![Vec::new()];
    if !form.must_type.is_empty() {
        lines.push(vec![
            label("confirm", form, Field::Confirm),
            Tone::Plain.text(format!("  {}", form.confirm.value())),
            Tone::Dim.text(if form.confirm.value().is_empty() {
                format!("type {}", form.must_type)
            } else {
                String::new()
            }),
        ]);
    }
    let wrong = form.refused.as_ref().or(form.plan.as_ref().err());
    let wrong = wrong.map(|why| text::wrap(why, columns)).unwrap_or_default();
    lines.extend(wrong.into_iter().take(3).map(|line| vec![Tone::Bad.text(line)]));
    let send = form.purpose.button(form.chosen().hosts.len());
    lines.push(buttons(&[("Cancel", form.field == Field::Cancel), (&send, form.field == Field::Send)]));
    lines
}

fn cursor(form: &Form, inside: Rect, end: usize) -> Option<Position> {
    let (input, line) = match form.field {
        Field::Revision => (&form.revision, 1),
        Field::Confirm => (&form.confirm, end + 1),
        _ => return None,
    };
    let add = |start: u16, by: usize, most: u16| {
        start.saturating_add(u16::try_from(by).unwrap_or(u16::MAX)).min(most)
    };
    let x = add(inside.x, LABEL + 2 + input.visual_cursor(), inside.right().saturating_sub(1));
    Some(Position::new(x, add(inside.y, line, inside.bottom().saturating_sub(1))))
}
