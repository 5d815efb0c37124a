//! The table of deployments, and below it how the selected one stands. Only the rows in view are built.

use super::grid::{Column, Grid};
use super::hosts::shifted;
use super::painter::{Painter, Piece, width};
use super::{Areas, boxes, result};
use crate::fleet::words;
use crate::protocol::{Id, printable};
use crate::tui::deployments::Known;
use crate::tui::{App, DeploymentsScreen, Order, Symbols, Tone};
use ratatui::layout::Rect;

#[derive(Debug, Clone, Copy)]
enum What {
    When,
    Who,
    Action,
    Revision,
    Hosts,
    Result,
    Progress,
}

const fn column(what: What, title: &'static str, width: [usize; 3], leaves: u8, right: bool) -> Column<What> {
    Column { what, title, width, leaves, right }
}

const COLUMNS: [Column<What>; 7] = [
    column(What::When, "WHEN", [6; 3], 2, true),
    column(What::Who, "WHO", [12, 13, 22], 4, false),
    column(What::Action, "ACTION", [12; 3], 3, false),
    column(What::Revision, "REVISION", [14, 15, 26], 1, false),
    column(What::Hosts, "HOSTS", [5; 3], 5, true),
    column(What::Result, "RESULT", [18, 26, 44], 0, false),
    column(What::Progress, "PROGRESS", [12, 20, 30], 6, false),
];

pub(super) fn draw(app: &App, screen: &DeploymentsScreen, painter: &mut Painter<'_>, areas: &Areas) {
    let area = areas.hosts;
    let rows = screen.cursor.rows();
    let title = [Tone::Title.text(" deployments ")];
    let inside = painter.framed(area, &title, &boxes::notice(app));
    let running = rows.iter().take_while(|id| is_under_way(app, id)).count();
    let told = [Tone::Plain.text(format!(" {running} running, {} known ", rows.len()))];
    let right = Rect { x: area.x + 2, width: area.width.saturating_sub(4), height: 1, ..area };
    if width(&title) + width(&told) < usize::from(right.width) {
        painter.right(right, &told);
    }
    let symbols = painter.theme.symbols();
    let grid = Grid::new(&COLUMNS, inside);
    let mut places = inside.rows();
    if let Some(place) = places.next() {
        grid.headings(painter, place);
    }
    for (place, (at, id)) in places.zip(rows.iter().enumerate().skip(screen.cursor.top)) {
        let Some(known) = Known::of(app, id) else { continue };
        grid.row(painter, place, at == screen.cursor.row(), |what, width| {
            cell(app, &known, what, width, symbols)
        });
    }
    if rows.is_empty() && inside.height > 1 {
        let how = if app.options.read_only { "" } else { "; d on the fleet screen sends one" };
        let why = format!("no deployment was heard of yet{how}");
        let place = inside.rows().nth(1).unwrap_or(inside);
        painter.line(shifted(place, 2, usize::MAX), &[Tone::Dim.text(why)]);
    }
    pane(app, screen, painter, areas.detail);
}

fn is_under_way(app: &App, id: &Id) -> bool {
    Known::of(app, id).is_some_and(|known| known.is_under_way())
}

fn cell(app: &App, known: &Known<'_>, what: What, width: usize, symbols: &Symbols) -> Vec<Piece> {
    let text = match what {
        What::When => words::age(known.begun(), app.now),
        What::Who => known.issuer().map(printable).unwrap_or_default(),
        What::Action => known.action().map(|action| printable(action.as_str())).unwrap_or_default(),
        What::Revision => known.deploys(),
        What::Hosts => known.hosts().to_string(),
        What::Result => return result::counts(known, width, symbols),
        What::Progress => return result::progress(known, width, symbols).into_iter().collect(),
    };
    vec![Tone::Plain.text(text)]
}

/// `switch main b04c7de by alice, 2 min ago`
pub(super) fn title(app: &App, known: &Known<'_>) -> Vec<Piece> {
    let mut text = known.action().map_or("a deployment".to_owned(), |action| printable(action.as_str()));
    let deploys = known.deploys();
    if !deploys.is_empty() {
        text = format!("{text} {deploys}");
    }
    if let Some(issuer) = known.issuer() {
        text = format!("{text} by {}", printable(issuer));
    }
    let count = known.hosts();
    let hosts = if count == 1 { "host" } else { "hosts" };
    let age = words::age(known.begun(), app.now);
    let wave = known.order.and_then(Order::wave);
    let wave = wave.map(|(wave, of)| format!("wave {wave} of {of}, ")).unwrap_or_default();
    let rest = format!("on {count} {hosts}, {wave}{age} ago ");
    vec![Tone::Title.text(format!(" {text} ")), Tone::Plain.text(rest)]
}

fn pane(app: &App, screen: &DeploymentsScreen, painter: &mut Painter<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let Some(known) = screen.cursor.selected().and_then(|id| Known::of(app, id)) else {
        painter.framed(area, &[], &[]);
        return;
    };
    let inside = painter.framed(area, &title(app, &known), &[]);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    let most = usize::from(inside.height).saturating_sub(2);
    let columns = usize::from(inside.width);
    let summary = result::summary(&known, &screen.failures, most, columns, painter.theme.symbols());
    painter.lines(inside, &result::in_full(summary, columns, usize::from(inside.height)));
}
