//! The table of deployments, and below it a summary of the selected one. Draws only visible rows.

use super::lines::joined;
use super::panel::{Edge, draw_scrollbar, draw_text, panel};
use super::table::{ABOVE, Column, FittedColumns, MARGIN, draw_placeholder, windowed};
use super::{Areas, deployment, dialogs, result};
use crate::protocol::Id;
use crate::text::{format, printable};
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::{App, Context, DeploymentsScreen, KeyCommand, Tone};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Table;

/// Maximum number of hosts of a deployment that the pane lists, and the width of their states.
const MAX_LISTED: usize = 50;
const STATE: usize = 13;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeploymentListColumn {
    When,
    Who,
    Action,
    Revision,
    Hosts,
    Result,
    Progress,
}

const fn column(
    kind: DeploymentListColumn,
    title: &'static str,
    width: [usize; 3],
    drop_order: u8,
    right: bool,
) -> Column<DeploymentListColumn> {
    Column { kind, title, width, drop_order, right }
}

const COLUMNS: [Column<DeploymentListColumn>; 7] = [
    column(DeploymentListColumn::When, "WHEN", [6; 3], 2, true),
    column(DeploymentListColumn::Who, "WHO", [12, 13, 22], 4, false),
    column(DeploymentListColumn::Action, "ACTION", [12; 3], 3, false),
    column(DeploymentListColumn::Revision, "REVISION", [14, 15, 26], 1, false),
    column(DeploymentListColumn::Hosts, "HOSTS", [5; 3], 5, true),
    column(DeploymentListColumn::Result, "RESULT", [18, 26, 44], 0, false),
    column(DeploymentListColumn::Progress, "PROGRESS", [12, 20, 30], 6, false),
];

pub(super) fn draw(app: &App, screen: &DeploymentsScreen, frame: &mut Frame<'_>, areas: &Areas) {
    let (theme, area) = (&app.options.theme, areas.list);
    let (rows, in_view) = (screen.cursor.rows(), super::rows_in(area));
    let running = rows.iter().filter(|id| is_under_way(app, id)).count();
    let of = if screen.filter.is_empty() { "known" } else { "shown" };
    let known = theme.span(Tone::Plain, format!(" {running} running, {} {of} ", rows.len()));
    let right = joined(dialogs::sort(app), [known]);
    let top = Edge { left: theme.span(Tone::Title, " deployments ").into(), right };
    let block = panel(theme, area.width, top, dialogs::notice(app));
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut state = windowed(screen.cursor.top, screen.cursor.row());
    frame.render_stateful_widget(table(app, screen, inside.width, in_view), inside, &mut state);
    if rows.is_empty() {
        let key = app.options.keys.name(Context::Fleet, KeyCommand::Deploy);
        let how = format!("; press {key} on the fleet screen to deploy");
        let how = if app.options.read_only { "" } else { &how };
        let reason = dialogs::why_empty(app, &format!("no deployments yet{how}"));
        draw_placeholder(frame, theme, inside, MARGIN, reason);
    }
    draw_scrollbar(frame, theme, area, ABOVE, screen.cursor.top, in_view, rows.len());
    draw_details(app, screen, frame, areas.detail);
}

fn table(app: &App, screen: &DeploymentsScreen, width: u16, in_view: usize) -> Table<'static> {
    let theme = &app.options.theme;
    let columns = FittedColumns::new(&COLUMNS, width, MARGIN);
    let ids = screen.cursor.rows().iter().skip(screen.cursor.top).take(in_view);
    let known = ids.filter_map(|id| KnownDeployment::of(app, id));
    let rows = known.map(|known| columns.row(theme, |column, width| cell(app, &known, column, width)));
    columns.table(theme, rows.collect())
}

fn is_under_way(app: &App, id: &Id) -> bool {
    KnownDeployment::of(app, id).is_some_and(|known| known.is_under_way())
}

/// The text of a row, for the filter.
pub(in crate::tui) fn text(app: &App, known: &KnownDeployment<'_>) -> String {
    COLUMNS.map(|column| cell(app, known, column.kind, 60).to_string()).join(" ")
}

fn cell(app: &App, known: &KnownDeployment<'_>, column: DeploymentListColumn, width: usize) -> Line<'static> {
    let theme = &app.options.theme;
    let text = match column {
        DeploymentListColumn::When => format::age(known.started_at(), app.now),
        DeploymentListColumn::Who => known.issuer().map(printable).unwrap_or_default(),
        DeploymentListColumn::Action => {
            known.action().map(|action| printable(action.as_str())).unwrap_or_default()
        }
        DeploymentListColumn::Revision => known.revision_label(),
        DeploymentListColumn::Hosts => known.hosts().to_string(),
        DeploymentListColumn::Result => return result::counts(known, width, theme),
        DeploymentListColumn::Progress => {
            return result::progress(known, width, theme).into_iter().collect();
        }
    };
    theme.span(Tone::Plain, text).into()
}

/// `switch main b04c7de by alice, 2 min ago`
pub(super) fn title(app: &App, known: &KnownDeployment<'_>) -> Line<'static> {
    let mut text = known.action().map_or("a deployment".to_owned(), |action| printable(action.as_str()));
    let deploys = known.revision_label();
    if !deploys.is_empty() {
        text = format!("{text} {deploys}");
    }
    if let Some(issuer) = known.issuer() {
        text = format!("{text} by {}", printable(issuer));
    }
    let hosts = format::count(known.hosts(), "host");
    let age = format::age(known.started_at(), app.now);
    let batch = known.batch();
    let batch = batch.map(|(batch, of)| format!("batch {batch} of {of}, ")).unwrap_or_default();
    let rest = format!("on {hosts}, {batch}{age} ago ");
    app.options.theme.span(Tone::Title, format!(" {text} ")) + app.options.theme.span(Tone::Plain, rest)
}

/// The hosts with their states and messages, below a blank line.
fn host_lines(app: &App, known: &KnownDeployment<'_>, rows: usize) -> Vec<Line<'static>> {
    let theme = &app.options.theme;
    let host_entries = known.host_entries();
    let names = host_entries.iter().map(|entry| entry.host.as_str().len()).max().unwrap_or(0);
    let shown = host_entries.iter().take(rows.saturating_sub(1));
    let lines = shown.map(|entry| {
        let state = deployment::state(app, entry);
        let gap = " ".repeat(STATE.saturating_sub(state.width()) + 2);
        Line::from(vec![
            theme.span(Tone::Title, format!("{:<names$}  ", entry.host.as_str())),
            state,
            theme.span(Tone::Dim, format!("{gap}{}", deployment::message(app, known, entry))),
        ])
    });
    std::iter::once(Line::default()).chain(lines).collect()
}

/// Draws a summary of the selected deployment.
fn draw_details(app: &App, screen: &DeploymentsScreen, frame: &mut Frame<'_>, area: Rect) {
    let (theme, size) = (&app.options.theme, super::text_size(area));
    if size.height == 0 {
        return;
    }
    let known = screen.cursor.selected().and_then(|id| KnownDeployment::of(app, id));
    let title = known.as_ref().map(|known| title(app, known)).unwrap_or_default();
    let lines = known.map(|known| {
        let (columns, rows) = (usize::from(size.width), usize::from(size.height));
        let summary = result::summary(&known, &screen.failures, rows.saturating_sub(2), columns, theme);
        let mut lines = result::in_full(summary, columns, rows);
        if known.hosts() <= MAX_LISTED {
            lines.extend(host_lines(app, &known, rows.saturating_sub(lines.len())));
        }
        lines
    });
    draw_text(frame, theme, area, title, Line::default(), lines.unwrap_or_default());
}
