//! A form: its fields, the exact hosts, what must be typed, and two buttons.

use super::above_footer;
use super::boxes::buttons;
use super::painter::{Painter, Piece, width};
use crate::fleet::{Presence, words};
use crate::protocol::{Action, Name};
use crate::tui::form::{Field, Form};
use crate::tui::{App, Purpose, Symbols, Tone, text};
use ratatui::layout::{Position, Rect, Size};

/// The widest that the form becomes inside.
const WIDEST: u16 = 92;
/// The columns of the labels.
const LABEL: usize = 10;
/// Below this height no line is left blank.
const AIRY: u16 = 16;

/// What lies around the hosts.
struct Around {
    columns: usize,
    top: Vec<Vec<Piece>>,
    bottom: Vec<Vec<Piece>>,
    /// How many hosts there is room for between them.
    room: usize,
}

impl Around {
    fn of(form: &Form, area: Size, symbols: &Symbols) -> Self {
        let columns = usize::from(WIDEST.min(area.width.saturating_sub(4)));
        let (mut top, mut bottom) = (fields(form, columns, symbols), ending(form, columns));
        if area.height >= AIRY {
            top.push(Vec::new());
            bottom.insert(0, Vec::new());
        }
        let room = usize::from(area.height).saturating_sub(2 + top.len() + bottom.len());
        Self { columns, top, bottom, room }
    }
}

/// How many hosts a page key scrolls by: as many as are in view.
pub(in crate::tui) fn page(form: &Form, size: Size, symbols: &Symbols) -> usize {
    let area = above_footer(Rect::from((Position::ORIGIN, size)));
    Around::of(form, area.as_size(), symbols).room.max(1)
}

pub(super) fn draw(app: &App, form: &Form, painter: &mut Painter<'_>, area: Rect) -> Option<Position> {
    let Around { columns, top, bottom, room } = Around::of(form, area.as_size(), painter.theme.symbols());
    let hosts = &form.chosen().hosts;
    let first = form.top.min(hosts.len().saturating_sub(room.max(1)));
    let rows = form.rows();
    let list: Vec<_> =
        rows.iter().skip(first).take(room).map(|(wave, host)| row(app, form, *wave, host)).collect();
    let mut title = vec![Tone::Title.text(format!(" {} ", form.purpose.title()))];
    if list.len() < hosts.len() {
        let (from, to, of) = (first + 1, first + list.len(), hosts.len());
        title.push(Tone::Warn.text(format!(" hosts {from}-{to} of {of}, pgdn pgup ")));
    }
    let inside = painter.dialog(area, columns, top.len() + bottom.len() + list.len(), &title);
    painter.lines(inside, &top);
    let place = |y: usize, height: usize| {
        let y = inside.y.saturating_add(u16::try_from(y).unwrap_or(u16::MAX)).min(inside.bottom());
        let height = u16::try_from(height).unwrap_or(u16::MAX).min(inside.bottom() - y);
        Rect { y, height, ..inside }
    };
    painter.lines(place(top.len(), list.len()), &list);
    let end = usize::from(inside.height).saturating_sub(bottom.len());
    painter.lines(place(end, bottom.len()), &bottom);
    cursor(form, inside, end + bottom.iter().take_while(|line| line.is_empty()).count())
}

fn label(name: &str, form: &Form, field: Field) -> Piece {
    let tone = if form.field == field { Tone::Selected } else { Tone::Plain };
    tone.text(format!("{name:<LABEL$}"))
}

fn fields(form: &Form, columns: usize, symbols: &Symbols) -> Vec<Vec<Piece>> {
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
    let choice = |name: &str, field: Field, labels: Vec<&str>, chosen: usize| {
        let (of, only) = (labels.len(), labels[chosen]);
        let line = [vec![label(name, form, field)], choices(labels, chosen)].concat();
        if width(&line) <= columns {
            return line;
        }
        // Where not all fit, the one that is taken.
        let only = Tone::Title.text(format!(" [{only}]"));
        vec![label(name, form, field), only, Tone::Dim.text(format!(" {} of {of}", chosen + 1))]
    };
    let targets = form.choices.iter().map(|choice| choice.label.as_str()).collect();
    let targets = choice("hosts", Field::Targets, targets, form.choice);
    let mut lines = vec![targets];
    if form.purpose.asks_revision() {
        lines.push(revision(form, columns));
    }
    let actions = form.purpose.actions();
    if actions.len() > 1 {
        let actions = actions.iter().map(Action::as_str).collect();
        lines.push(choice("action", Field::Action, actions, form.action));
    }
    if form.fields().contains(&Field::Waves) {
        lines.push(waves(form, columns, symbols));
    }
    if let Some(older) = form.older {
        lines.push(choice("older", Field::Older, vec!["refused", "allowed"], usize::from(older)));
    }
    if !form.flakes.is_empty() {
        let flakes = text::fit(&form.flakes, columns.saturating_sub(LABEL + 2), symbols.cut);
        lines.push(vec![
            Tone::Plain.text(format!("{:<LABEL$}", "flake")),
            Tone::Dim.text(format!("  {flakes}")),
        ]);
    }
    if let Purpose::Rollback(_) = form.purpose {
        let goal = form.purpose.goal("");
        lines.push(vec![
            Tone::Plain.text(format!("{:<LABEL$}", "back to")),
            Tone::Title.text(format!("  {goal}")),
        ]);
    }
    lines
}

/// The revision as typed, and what completes it.
fn revision(form: &Form, columns: usize) -> Vec<Piece> {
    let mut revision = vec![label("revision", form, Field::Revision)];
    revision.push(
        Tone::Plain.text(format!("  {}", text::window(&form.revision, columns.saturating_sub(LABEL + 2)).0)),
    );
    if let Some(whole) = form.completion().filter(|_| form.field == Field::Revision) {
        revision.push(Tone::Dim.text(whole[form.revision.value().len()..].to_owned()));
    }
    revision
}

/// The waves as typed, and how many that makes.
fn waves(form: &Form, columns: usize, symbols: &Symbols) -> Vec<Piece> {
    let typed = text::window(&form.waves, columns.saturating_sub(LABEL + 2)).0;
    let waves = form.plan.as_ref().map_or(0, |plan| plan.rollout.waves().len());
    let told = match waves {
        _ if form.waves.value().trim().is_empty() => {
            "all at once; or batch=25% canary=1 max-failures=0 pause=60".to_owned()
        }
        0 | 1 => String::new(),
        waves => format!("   {waves} waves"),
    };
    let mut line = vec![label("waves", form, Field::Waves), Tone::Plain.text(format!("  {typed}"))];
    let left = columns.saturating_sub(width(&line));
    line.push(Tone::Dim.text(text::fit(&told, left, symbols.cut)));
    line
}

/// One host: what runs there, and whether it will hear of this.
fn row(app: &App, form: &Form, wave: Option<usize>, name: &Name) -> Vec<Piece> {
    let wave = wave.map_or(Tone::Plain.text("  "), |wave| Tone::Dim.text(format!("{wave:>3}  ")));
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
    let reason = form.plan.as_ref().ok().and_then(|plan| plan.left_out.get(name));
    if let Some(reason) = reason {
        return vec![
            wave,
            Tone::Bad.text(symbol),
            Tone::Plain.text(format!(" {}", names.concat())),
            Tone::Bad.text(format!("left out: {reason}")),
        ];
    }
    let runs = words::runs(host);
    let then = form.purpose.goal(form.revision.value().trim());
    let change = if runs.is_empty() {
        format!("{} {then}", symbols.then)
    } else {
        format!("{runs} {} {then}", symbols.then)
    };
    vec![
        wave,
        tone.text(symbol),
        Tone::Plain.text(format!(" {}", names.concat())),
        Tone::Plain.text(format!("{change}  ")),
        tone.text(note),
    ]
}

/// What must be typed, what is wrong, and the buttons.
fn ending(form: &Form, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines = Vec::new();
    if !form.must_type.is_empty() {
        lines.push(vec![
            label("confirm", form, Field::Confirm),
            Tone::Plain
                .text(format!("  {}", text::window(&form.confirm, columns.saturating_sub(LABEL + 2)).0)),
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
    let left_out = form.plan.as_ref().map_or(0, |plan| plan.left_out.len());
    let send = form.purpose.button(form.chosen().hosts.len() - left_out);
    lines.push(buttons(&[("Cancel", form.field == Field::Cancel), (&send, form.field == Field::Send)]));
    lines
}

fn cursor(form: &Form, inside: Rect, end: usize) -> Option<Position> {
    let (input, line) = match form.field {
        Field::Revision => (&form.revision, 1),
        Field::Waves => (&form.waves, if form.purpose.asks_revision() { 3 } else { 1 }),
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
