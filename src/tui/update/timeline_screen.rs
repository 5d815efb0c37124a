//! Keys on the timeline of a deployment, and the query for the durations that its estimates need.

use super::fleet_screen::copy_names;
use super::{deployments_screen, events_screen, host_screen, log_screen, logs_screen};
use crate::protocol::Id;
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::screens::SCALES;
use crate::tui::{App, Effect, KeyCommand, Screen, TimelineRow, TimelineScreen, Tone, view};

/// Opens the timeline: on a host screen, of the selected or last job's deployment; elsewhere, of the running or else the
/// last deployment.
pub(super) fn open(app: &mut App) {
    let of_host = app.screens.last().and_then(Screen::as_host).and_then(|screen| screen.job(&app.fleet));
    let of_host = of_host.filter(|id| KnownDeployment::of(app, id).is_some());
    match of_host.or_else(|| KnownDeployment::all(app).into_iter().next()) {
        Some(id) => open_for(app, id),
        None => app.show_notice(Tone::Warn, "no deployments yet"),
    }
}

/// Opens the timeline of this deployment.
pub(super) fn open_for(app: &mut App, id: Id) {
    let title = KnownDeployment::of(app, &id).map(|known| known.title()).unwrap_or_default();
    app.screens.push(Screen::Timeline(Box::new(TimelineScreen::new(id, title))));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::timeline_rows_in_view(app.size);
    let Some(Screen::Timeline(screen)) = app.screens.last() else { return None };
    let axis = view::time_axis(app, screen);
    let Some(Screen::Timeline(screen)) = app.screens.last_mut() else { return None };
    if screen.go(command, page) {
        return None;
    }
    let selected = screen.host().cloned();
    match (command, selected) {
        (KeyCommand::Left | KeyCommand::Right, _) => {
            let step = axis.scale_ms.saturating_mul(axis.columns as u64 / 4).max(1);
            screen.zoom = Some(axis.zoom);
            screen.left_ms = if command == KeyCommand::Left {
                axis.left_ms.saturating_sub(step)
            } else {
                (axis.left_ms + step).min(axis.end_ms)
            };
        }
        (KeyCommand::ZoomIn, _) => zoom(screen, axis.zoom.saturating_sub(1), axis.left_ms),
        (KeyCommand::ZoomOut, _) => zoom(screen, (axis.zoom + 1).min(SCALES.len() - 1), axis.left_ms),
        (KeyCommand::ZoomFit, _) => (screen.zoom, screen.left_ms) = (None, 0),
        (KeyCommand::Open, Some((host, _))) => return Some(host_screen::open(app, host)),
        (KeyCommand::Log, Some(_)) => log_screen::open(app),
        (KeyCommand::Copy, Some(_)) => return copy_names(app),
        (KeyCommand::Shell, _) => return host_screen::open_shell(app),
        (KeyCommand::Logs, _) => logs_screen::open(app),
        (KeyCommand::Events, _) => return events_screen::open(app),
        _ if command.is_control() => {
            let id = screen.id.clone();
            return deployments_screen::control(app, &id, command);
        }
        _ => super::step(app, command),
    }
    None
}

fn zoom(screen: &mut TimelineScreen, zoom: usize, left_ms: u64) {
    (screen.zoom, screen.left_ms) = (Some(zoom), left_ms);
}

/// Queries the visible hosts for the durations of their jobs.
pub(super) fn query_durations(app: &mut App) -> Option<Effect> {
    let Some(Screen::Timeline(screen)) = app.screens.last() else { return None };
    if !app.connection.up {
        return None;
    }
    let rows = screen.cursor.rows().iter().skip(screen.cursor.top);
    let rows = rows.take(view::timeline_rows_in_view(app.size));
    let hosts = rows.filter_map(|row| match row {
        TimelineRow::Host((host, _)) => Some(host),
        TimelineRow::Batch(_) => None,
    });
    // A host without an instance uses the base format, which has no history.
    let has_history = |host: &&_| {
        app.fleet
            .hosts
            .get(*host)
            .is_some_and(|host| host.job.as_ref().is_some_and(|job| job.instance.is_some()))
    };
    let due = app.durations.take_due(hosts.filter(has_history), app.now);
    (!due.is_empty()).then_some(Effect::Durations(due))
}
