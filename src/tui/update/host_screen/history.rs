//! The past of a host on its screen: when it is asked for, and what comes back.

use crate::deployer::Told;
use crate::fleet::Presence;
use crate::protocol::{HistoryEntry, Id, Name, printable};
use crate::tui::{App, Effect, HostScreen, Screen};
use jiff::Timestamp;

/// By what it shows that a host has more to tell than before.
pub(in crate::tui::update) struct Sign {
    ended: Option<Id>,
    online: bool,
}

/// The uppermost screen of a host.
fn shown(app: &App) -> Option<&HostScreen> {
    app.screens.iter().rev().find_map(Screen::as_host)
}

/// Asks the host whose screen is open, if there is one.
pub(in crate::tui::update) fn ask(app: &App) -> Option<Effect> {
    shown(app).map(|screen| Effect::History(screen.host.clone()))
}

/// The sign that the host of the open screen gives.
pub(in crate::tui::update) fn sign(app: &App, at: Timestamp) -> Option<Sign> {
    let host = app.fleet.hosts.get(&shown(app)?.host)?;
    let ended = host.job.as_ref().filter(|job| job.status.is_final());
    Some(Sign { ended: ended.and_then(|job| job.id.clone()), online: host.presence(at) == Presence::Online })
}

/// Asks again where a job has ended since, or the host is back.
pub(in crate::tui::update) fn ask_after(app: &App, before: Option<Sign>, at: Timestamp) -> Option<Effect> {
    let (before, after) = (before?, sign(app, at)?);
    let ended = after.ended.is_some() && after.ended != before.ended;
    (ended || after.online && !before.online).then(|| ask(app)).flatten()
}

/// Takes what a host has told.
pub(in crate::tui::update) fn take(
    app: &mut App,
    host: &Name,
    told: Result<Told<Vec<HistoryEntry>>, String>,
) {
    let mut screens = app.screens.iter_mut().rev().filter_map(Screen::as_host_mut);
    if let Some(screen) = screens.find(|screen| screen.host == *host) {
        screen.take(told.map_err(|reason| printable(&reason)));
    }
}
