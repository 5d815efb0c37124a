//! The lines around: where we are, how the link stands, how many hosts are how, and which keys there are.

use super::painter::{Painter, Piece, width};
use crate::protocol::printable;
use crate::tui::deployments::Known;
use crate::tui::keys::bindings;
use crate::tui::{App, Command, Context, Order, Screen, Symbols, Tone, text};
use jiff::fmt::strtime;
use ratatui::layout::Rect;

/// From this width on the first line says which screen this is.
const WITH_PLACE: u16 = 60;
/// What a filter can be made of.
const FILTERS: &str = "text, tier: role: state: rev: host: seen>1m, !not";

pub(super) fn draw(app: &App, painter: &mut Painter<'_>, area: Rect) {
    let symbols = painter.theme.symbols();
    let path = path(app, symbols, area.width);
    painter.line(area, &path);
    let begin = u16::try_from(width(&path) + 1).unwrap_or(u16::MAX).min(area.width);
    let time = app.now.to_zoned(app.options.zone.clone());
    let time = strtime::format("%H:%M:%S", &time).unwrap_or_default();
    // Where it is narrow, the way to the server matters most.
    let room = usize::from(area.width - begin);
    let mut link = link(app, symbols, room);
    let mut tail = vec![
        Tone::Dim.text(format!("   {}", printable(&app.options.issuer))),
        Tone::Plain.text(format!("   {time} ")),
    ];
    while width(&link) + width(&tail) > room && !tail.is_empty() {
        tail.remove(0);
    }
    link.extend(tail);
    painter.right(Rect { x: area.x + begin, width: area.width - begin, ..area }, &link);
}

/// Where we are: the context and the screens, one on the other. Of a long path the end is shown, and where it is narrow none.
fn path(app: &App, symbols: &Symbols, columns: u16) -> Vec<Piece> {
    let name = "homelab-deploy";
    let mut line = vec![Tone::Plain.text(" "), Tone::Title.text(name)];
    if columns >= WITH_PLACE {
        let mut steps: Vec<_> = app.options.context.iter().map(|context| printable(context)).collect();
        steps.push("fleet".to_owned());
        steps.extend(app.screens.iter().map(Screen::title));
        let gap = format!(" {} ", symbols.then);
        let room = usize::from(columns) / 2;
        let mut path = steps.join(&gap);
        while text::width(name) + 1 + text::width(&gap) + text::width(&path) > room && steps.len() > 1 {
            steps.remove(0);
            path = format!("{}{gap}{}", symbols.cut, steps.join(&gap));
        }
        line.push(Tone::Plain.text(format!("{gap}{path}")));
    }
    line.push(Tone::Warn.text(if app.options.read_only { " (read-only)" } else { "" }));
    line
}

fn link(app: &App, symbols: &Symbols, room: usize) -> Vec<Piece> {
    let (up, down) = (symbols.online, symbols.offline);
    let link = &app.link;
    if link.up {
        let time = app.round_trip.map(|time| {
            let tenths = time.as_micros() / 100;
            Tone::Dim.text(format!(" rtt {}.{} ms", tenths / 10, tenths % 10))
        });
        let server = app.options.server.trim_start_matches("nats://");
        // That the link is up is never cut, however many servers have long names.
        let rest = 1 + text::width(up) + time.as_ref().map_or(0, |time| text::width(&time.text));
        let server = text::fit(server, room.saturating_sub(rest), symbols.cut);
        let shown = [Tone::Plain.text(format!("{server} ")), Tone::Good.text(up)];
        return shown.into_iter().chain(time).collect();
    }
    let reason = link.reason.as_deref().map_or("connecting".to_owned(), printable);
    let wait = link.next_try.map(|at| at.duration_since(app.now).as_secs().max(0));
    let wait = wait.filter(|wait| *wait > 0).map(|wait| format!(", again in {wait} s")).unwrap_or_default();
    // Of a long reason the start is enough; the box of an order that was refused shows it all.
    let room = room.saturating_sub(text::width(down) + 1 + wait.len());
    vec![Tone::Bad.text(format!("{down} {}{wait}", text::fit(&reason, room, symbols.cut)))]
}

pub(super) fn counts(app: &App, painter: &mut Painter<'_>, area: Rect) {
    let symbols = painter.theme.symbols();
    let counts = &app.counts;
    let hosts = app.fleet.hosts.len();
    let units = if counts.units == 1 { "failed unit" } else { "failed units" };
    let kinds = [
        (symbols.mark, app.table.marks.len(), "marked", Tone::Good),
        (symbols.online, counts.online, "online", Tone::Good),
        (symbols.working, counts.deploying, "deploying", Tone::Busy),
        (symbols.failed, counts.failed, "failed", Tone::Bad),
        (symbols.warning, counts.units, units, Tone::Bad),
        (symbols.stale, counts.stale, "stale", Tone::Warn),
        (symbols.offline, counts.offline, "offline", Tone::Warn),
        (symbols.restarting, counts.restarting, "restarting", Tone::Warn),
        (symbols.reboot, counts.reboot, "reboot", Tone::Warn),
        (symbols.behind, counts.behind, "behind", Tone::Warn),
        (symbols.warning, usize::try_from(app.unreadable).unwrap_or(usize::MAX), "unreadable", Tone::Warn),
        (symbols.warning, usize::try_from(app.link.dropped).unwrap_or(usize::MAX), "dropped", Tone::Warn),
        (symbols.warning, usize::try_from(app.fleet.ignored).unwrap_or(usize::MAX), "ignored", Tone::Warn),
    ];
    let kinds: Vec<_> = kinds.into_iter().filter(|(_, count, ..)| *count > 0).collect();
    let told = |gap: &str, words: usize| {
        let mut line = vec![Tone::Plain.text(format!(" {hosts} host{}", if hosts == 1 { "" } else { "s" }))];
        if counts.deployments > 1 {
            line.push(Tone::Busy.text(format!("{gap}{} deployments", counts.deployments)));
        }
        for (at, (symbol, count, word, tone)) in kinds.iter().enumerate() {
            let told = if at < words { format!(" {count} {word}") } else { format!(" {count}") };
            line.extend([Tone::Plain.text(gap), tone.text(*symbol), Tone::Plain.text(told)]);
        }
        line
    };
    // The widest that fits: the last words leave first, because the rows explain the symbols.
    let closer = (1..=kinds.len()).rev().map(|words| told(" ", words));
    let mut lines = std::iter::once(told("  ", kinds.len())).chain(closer).chain([told("  ", 0)]);
    let line = lines.find(|line| width(line) <= usize::from(area.width));
    painter.line(area, &line.unwrap_or_else(|| told(" ", 0)));
}

/// The keys that there are here. Where it is narrow they stand closer, and the last ones leave; help and the way back stay in any
/// case.
pub(super) fn footer(app: &App, painter: &mut Painter<'_>, area: Rect) {
    let context = app.context();
    let hints = bindings(context, app.options.read_only).filter(|binding| is_of_use(app, binding.command));
    let mut hints: Vec<_> = hints
        .filter_map(|binding| {
            let key = Tone::Key.text(binding.chords.first()?.name());
            Some((binding.command, [key, Tone::Plain.text(format!(" {}", binding.hint?))]))
        })
        .collect();
    let room = usize::from(area.width);
    let needed = |hints: &[(Command, [Piece; 2])], gap: usize| {
        hints.iter().map(|(_, hint)| width(hint) + gap).sum::<usize>().saturating_sub(gap)
    };
    let gap = if needed(&hints, 3) < room { "   " } else { "  " };
    let may_leave =
        |(command, _): &(Command, _)| !matches!(command, Command::Help | Command::Quit | Command::Back);
    while needed(&hints, gap.len()) > room
        && let Some(at) = hints.iter().rposition(may_leave)
    {
        hints.remove(at);
    }
    let start = if needed(&hints, gap.len()) < room { " " } else { "" };
    let mut line = Vec::new();
    for (_, hint) in hints {
        line.push(Tone::Plain.text(if line.is_empty() { start } else { gap }));
        line.extend(hint);
    }
    if context == Context::Filter {
        let room = room.saturating_sub(width(&line) + 3);
        let told = text::wrap(FILTERS, room).into_iter().next().unwrap_or_default();
        line.push(Tone::Dim.text(format!("   {told}")));
    }
    painter.line(area, &line);
}

/// Whether a key can do something now: cancelling needs a job that runs, deploying again one that did not complete.
fn is_of_use(app: &App, command: Command) -> bool {
    let known = |id| Known::of(app, id);
    let runs = |id| known(id).is_some_and(|known| known.is_under_way());
    let goes_on = |id| known(id).and_then(|known| known.order).is_some_and(Order::goes_on);
    match (command, app.screens.last()) {
        (Command::Cancel, None) => app.counts.deploying > 0,
        (Command::Cancel, Some(Screen::Deployments(screen))) => screen.cursor.selected().is_some_and(runs),
        (Command::Cancel, Some(Screen::Deployment(screen))) => runs(&screen.id),
        (Command::Abort, Some(Screen::Deployments(screen))) => screen.cursor.selected().is_some_and(goes_on),
        (Command::Abort, Some(Screen::Deployment(screen))) => goes_on(&screen.id),
        (Command::Cancel, Some(_)) => app.host().is_some_and(|host| host.running_job().is_some()),
        (Command::Deploy, Some(Screen::Deployment(screen))) => known(&screen.id).is_some_and(|known| {
            let (tally, silent, left) = known.counts();
            tally.completed < tally.ended() || silent + left > 0 && !known.is_under_way()
        }),
        _ => true,
    }
}
