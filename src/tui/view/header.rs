//! The lines at the top and bottom: path, connection, number of hosts per status, and keys.

use super::lines::{self, Count, fit, joined};
use crate::text::{format, printable};
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{App, Context, KeyCommand, LeaveChoice, Overlay, Screen, Tone, text};
use jiff::fmt::strtime;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Stylize;
use ratatui::text::{Line, Span};

/// Minimum width for the path in the header.
const WITH_PLACE: u16 = 60;
/// Age of the server's last answer, in seconds, from which it is shown. A ping is sent every 2 s.
const LATE: i64 = 2;
/// Width of the bar of the fleet's health.
const HEALTH_BAR: usize = 12;
/// The terms of a filter, for the footer.
const FILTERS: &str = "text, tier: role: state: rev: host: seen>1m, !not";

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let path = path(app, area.width);
    let begin = u16::try_from(path.width() + 1).unwrap_or(u16::MAX).min(area.width);
    frame.render_widget(fit(path, area.width.into(), &app.options.theme), area);
    let rest = Rect { x: area.x + begin, width: area.width - begin, ..area };
    frame.render_widget(status(app, rest.width.into()).right_aligned(), rest);
}

/// The path: context and screens. A long path is cut at its start; a narrow terminal shows none.
fn path(app: &App, columns: u16) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let name = "homelab-deploy";
    let mut line = Line::from(vec![Span::raw(" "), theme.span(Tone::Title, name)]);
    if columns >= WITH_PLACE {
        let mut steps: Vec<_> = app.options.context.iter().map(|context| printable(context)).collect();
        steps.push("fleet".to_owned());
        steps.extend(app.screens.iter().map(Screen::title));
        let gap = format!(" {} ", symbols.then);
        let available = usize::from(columns) / 2;
        let mut path = steps.join(&gap);
        while text::width(name) + 1 + text::width(&gap) + text::width(&path) > available && steps.len() > 1 {
            steps.remove(0);
            path = format!("{}{gap}{}", symbols.cut, steps.join(&gap));
        }
        line.push_span(theme.span(Tone::Plain, format!("{gap}{path}")));
    }
    line.push_span(theme.span(Tone::Warn, if app.options.read_only { " (read-only)" } else { "" }));
    line
}

/// Connection, operator and time. In a narrow terminal, the connection matters most.
fn status(app: &App, available: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let time = app.clock.to_zoned(app.options.zone.clone());
    let time = strtime::format("%H:%M:%S", &time).unwrap_or_default();
    let connection = connection(app, available);
    let tail = [
        theme.span(Tone::Dim, format!("   {}", printable(&app.options.issuer))),
        theme.span(Tone::Plain, format!("   {time} ")),
    ];
    let mut shown = (0..=tail.len()).map(|dropped| Line::from(tail[dropped..].to_vec()));
    let shown = shown.find(|tail| connection.width() + tail.width() <= available);
    fit(joined(connection, shown.unwrap_or_default()), available, theme)
}

fn connection(app: &App, available: usize) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let (up, down) = (symbols.online, symbols.offline);
    let connection = &app.connection;
    let silence = app.link.silence(app.clock).map_or(0, |silence| silence.as_secs());
    if connection.up && app.link.lost_at().is_some() {
        let text = format!("{} no answer for {silence} s", symbols.stale);
        return fit(theme.span(Tone::Bad, text).into(), available, theme);
    }
    if connection.up {
        let time = app.round_trip.map(|time| {
            let tenths = time.as_micros() / 100;
            let age = if silence > LATE { format!(", {silence} s ago") } else { String::new() };
            theme.span(Tone::Dim, format!(" rtt {}.{} ms{age}", tenths / 10, tenths % 10))
        });
        let server = app.options.server.trim_start_matches("nats://");
        // The connection symbol stays visible, even if the server list is long.
        let rest = 1 + text::width(up) + time.as_ref().map_or(0, Span::width);
        let server = text::fit(server, available.saturating_sub(rest), symbols.cut);
        let shown = [theme.span(Tone::Plain, format!("{server} ")), theme.span(Tone::Good, up)];
        return shown.into_iter().chain(time).collect();
    }
    let reason = connection.reason.as_deref().map_or("connecting".to_owned(), printable);
    let wait = connection.next_try.map(|at| at.duration_since(app.clock).as_secs().max(0));
    let wait =
        wait.filter(|wait| *wait > 0).map(|wait| format!(", retrying in {wait} s")).unwrap_or_default();
    // The start of a long reason is enough; the error dialog of a rejected deployment shows all of it.
    let available = available.saturating_sub(text::width(down) + 1 + wait.len());
    theme.span(Tone::Bad, format!("{down} {}{wait}", text::fit(&reason, available, symbols.cut))).into()
}

/// What the screen shows while the server does not answer: `connection lost 0:42, state as of 18:25:45`.
fn outage(app: &App) -> Option<Line<'static>> {
    let lost_at = app.link.lost_at()?;
    let what = if app.connection.up { "no answer for" } else { "connection lost" };
    let since = app.clock.duration_since(lost_at).as_millis();
    let since = format::elapsed(u64::try_from(since).unwrap_or(0));
    let at = lost_at.to_zoned(app.options.zone.clone());
    let at = strtime::format("%H:%M:%S", &at).unwrap_or_default();
    let text = format!(" {what} {since}, state as of {at} ");
    Some(app.options.theme.span(Tone::Bad, text).reversed().into())
}

/// Number of hosts, in total and per status.
pub(super) fn counts(app: &App, columns: u16) -> Line<'static> {
    match outage(app) {
        None => host_counts(app, columns),
        Some(outage) => {
            let line = joined(Line::from(" "), outage);
            let left = columns.saturating_sub(u16::try_from(line.width()).unwrap_or(u16::MAX));
            fit(joined(line, host_counts(app, left)), columns.into(), &app.options.theme)
        }
    }
}

fn host_counts(app: &App, columns: u16) -> Line<'static> {
    let (theme, symbols) = (&app.options.theme, app.options.theme.symbols());
    let counts = &app.counts;
    let hosts = app.fleet.hosts.len();
    let units = format::plural(counts.units, "failed unit");
    let services = format::plural(counts.services, "failed service");
    let reboot = if counts.reboot == 1 { "needs reboot" } else { "need reboot" };
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let kinds: [Count<'_>; 19] = [
        (symbols.mark, app.table.marks.len(), "marked", Tone::Good),
        (symbols.failed, counts.failed, "failed", Tone::Bad),
        (symbols.warning, counts.changed, "changed", Tone::Bad),
        (symbols.warning, counts.unproven, "unproven", Tone::Bad),
        (symbols.warning, counts.duplicate, "duplicate", Tone::Bad),
        (symbols.warning, counts.units, &units, Tone::Bad),
        (symbols.warning, counts.services, &services, Tone::Bad),
        (symbols.warning, counts.disk, "disk low", Tone::Warn),
        (symbols.offline, counts.offline, "offline", Tone::Warn),
        (symbols.stale, counts.stale, "stale", Tone::Warn),
        (symbols.restarting, counts.restarting, "restarting", Tone::Warn),
        (symbols.reboot, counts.reboot, reboot, Tone::Warn),
        (symbols.held, counts.held, "held", Tone::Warn),
        (symbols.working, counts.deploying, "deploying", Tone::Busy),
        (symbols.outdated, counts.outdated, "outdated", Tone::Dim),
        (symbols.online, counts.online, "online", Tone::Dim),
        (symbols.warning, number(app.unreadable), "unreadable", Tone::Warn),
        (symbols.warning, number(app.connection.dropped), "dropped", Tone::Warn),
        (symbols.warning, number(app.fleet.ignored), "ignored", Tone::Warn),
    ];
    let kinds: Vec<_> = kinds.into_iter().filter(|(_, count, ..)| *count > 0).collect();
    let label = |gap: &'static str, words: usize, has_bar: bool| {
        let hosts = format!(" {}{gap}", format::count(hosts, "host"));
        let mut line = Line::from(theme.span(Tone::Plain, hosts));
        if has_bar {
            line.extend(health_bar(app).into_iter().chain([Span::raw(gap)]));
        }
        joined(line, lines::counts(theme, &kinds, gap, words))
    };
    // Use the widest version that fits. The last words are dropped first, because the rows explain the symbols.
    let closer = (1..=kinds.len()).rev().map(|words| label(" ", words, false));
    let with_bar = (hosts > 0).then(|| label("  ", kinds.len(), true));
    let widest = with_bar.into_iter().chain([label("  ", kinds.len(), false)]);
    let mut lines = widest.chain(closer).chain([label("  ", 0, false)]);
    let line = lines.find(|line| line.width() <= usize::from(columns));
    fit(line.unwrap_or_else(|| label(" ", 0, false)), columns.into(), theme)
}

/// The health of the fleet as a bar: hosts without a problem, with a job, with a problem, and with a failure. No part that
/// has a host is left out.
fn health_bar(app: &App) -> Vec<Span<'static>> {
    let (theme, counts) = (&app.options.theme, &app.counts);
    let cells = match (theme.colour, theme.unicode) {
        (true, true) => ["█"; 4],
        (false, true) => ["░", "▒", "▓", "█"],
        (_, false) => ["-", "=", "!", "#"],
    };
    let hosts = [counts.well, counts.deploying, counts.warned, counts.bad];
    let all = hosts.iter().sum::<usize>().max(1);
    let mut widths = hosts.map(|hosts| (HEALTH_BAR * hosts / all).max(usize::from(hosts > 0)));
    // What rounding has left over or taken too much is the share of the largest part.
    if let Some(largest) = (0..hosts.len()).max_by_key(|part| hosts[*part]) {
        let others = widths.iter().sum::<usize>() - widths[largest];
        widths[largest] = HEALTH_BAR.saturating_sub(others);
    }
    let tones = [Tone::Good, Tone::Busy, Tone::Warn, Tone::Bad];
    let parts = cells.iter().zip(tones).zip(widths).filter(|(_, width)| *width > 0);
    parts
        .map(|((cell, tone), width)| {
            theme.span(if theme.colour { tone } else { Tone::Plain }, cell.repeat(width))
        })
        .collect()
}

/// The available keys. A narrow terminal drops the last ones, but never help, back and quit.
pub(super) fn footer(app: &App, columns: u16) -> Line<'static> {
    let (theme, context) = (&app.options.theme, app.context());
    let hints = app.options.keys.bindings(context, app.options.read_only);
    let hints = hints.filter(|binding| is_available(app, binding.command));
    let mut hints: Vec<(KeyCommand, Line<'static>)> = hints
        .filter_map(|binding| {
            let key = theme.span(Tone::Key, binding.chords.first()?.name());
            Some((binding.command, key + theme.span(Tone::Plain, format!(" {}", binding.hint?))))
        })
        .collect();
    let available = usize::from(columns);
    let needed = |hints: &[(KeyCommand, Line<'static>)], gap: usize| {
        hints.iter().map(|(_, hint)| hint.width() + gap).sum::<usize>().saturating_sub(gap)
    };
    // One column at the left stays blank, so that the line never moves.
    let available = available.saturating_sub(1);
    let gap = if needed(&hints, 3) <= available { "   " } else { "  " };
    let may_leave = |(command, _): &(KeyCommand, _)| {
        !matches!(command, KeyCommand::Help | KeyCommand::Quit | KeyCommand::Back)
    };
    while needed(&hints, gap.len()) > available
        && let Some(at) = hints.iter().rposition(may_leave)
    {
        hints.remove(at);
    }
    let mut line = Line::default();
    for (_, hint) in hints {
        line.push_span(if line.spans.is_empty() { " " } else { gap });
        line.extend(hint);
    }
    if context == Context::Filter {
        let available = (available + 1).saturating_sub(line.width() + 3);
        let label = text::wrap(FILTERS, available).into_iter().next().unwrap_or_default();
        line.push_span(theme.span(Tone::Dim, format!("   {label}")));
    }
    fit(line, columns.into(), theme)
}

/// Whether a key currently has an effect: deploying again needs an incomplete deployment. On the fleet screen, no key
/// comes and goes with the jobs.
fn is_available(app: &App, command: KeyCommand) -> bool {
    let known = |id| KnownDeployment::of(app, id);
    let controls = |id| known(id).is_some_and(|known| known.takes(command));
    if let Some(Overlay::Leave(dialog)) = &app.overlay {
        return command != KeyCommand::Continue || dialog.choices().contains(&LeaveChoice::Background);
    }
    if let Some(Overlay::Messages(_)) = &app.overlay {
        return command != KeyCommand::Search;
    }
    match (command, app.screens.last()) {
        (command, Some(Screen::Deployments(screen))) if command.is_control() => {
            screen.cursor.selected().is_some_and(controls)
        }
        (command, Some(Screen::Deployment(screen))) if command.is_control() => controls(&screen.id),
        (command, Some(Screen::Timeline(screen))) if command.is_control() => controls(&screen.id),
        (KeyCommand::Cancel, Some(_)) => app.host().is_some_and(|host| host.running_job().is_some()),
        (KeyCommand::Deploy, Some(Screen::Deployment(screen))) => known(&screen.id).is_some_and(|known| {
            let (counts, no_answer, left) = known.counts();
            counts.completed < counts.ended() || no_answer + left > 0 && !known.is_under_way()
        }),
        _ => true,
    }
}
