//! Keys on the screen of all deployments, and on that of one.

use super::fleet_screen::copy_names;
use super::{host_screen, log_screen};
use crate::deployer::Plan;
use crate::fleet::{Host, Presence};
use crate::protocol::{Action, Id, Name, printable};
use crate::tui::app::Question;
use crate::tui::deployments::{Known, PartState};
use crate::tui::{
    App, Command, DeploymentScreen, DeploymentsScreen, Effect, Form, Overlay, Screen, Tone, view,
};

/// Opens the screen of all deployments; from a host, at the deployment of its job: the selected one, or the last.
pub(super) fn open(app: &mut App) {
    let screen = app.screens.last().and_then(Screen::as_host);
    let selected = screen.and_then(|screen| screen.job(&app.fleet));
    app.screens.push(Screen::Deployments(DeploymentsScreen::new(selected)));
}

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    let page = view::rows_in_view(app.size);
    let Some(Screen::Deployments(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match (command, screen.cursor.selected().cloned()) {
        (Command::Open, Some(id)) => open_one(app, id),
        (Command::Cancel, Some(id)) => ask_to_cancel(app, &id),
        (Command::Abort, Some(id)) => return abort(app, &id),
        (Command::Copy, Some(id)) => return Some(copy(app, &id)),
        _ => super::step(app, command),
    }
    None
}

pub(super) fn act_on_one(app: &mut App, command: Command) -> Option<Effect> {
    let Some(Screen::Deployment(screen)) = app.screens.last() else { return None };
    let (page, last) = (view::parts_in_view(app, screen), view::part_lines_below(app, screen));
    let Some(Screen::Deployment(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        screen.top = 0;
        return None;
    }
    let (id, selected) = (screen.id.clone(), screen.cursor.selected().cloned());
    match (command, selected) {
        (Command::PaneDown, _) => screen.top = (screen.top + 1).min(last),
        (Command::PaneUp, _) => screen.top = screen.top.min(last).saturating_sub(1),
        (Command::Open, Some((host, _))) => return Some(host_screen::open(app, host)),
        (Command::Log, Some(_)) => log_screen::open(app),
        (Command::Copy, Some(_)) => return copy_names(app),
        (Command::Cancel, _) => ask_to_cancel(app, &id),
        (Command::Abort, _) => return abort(app, &id),
        (Command::Deploy, _) => deploy_to_the_rest(app, &id),
        _ => super::step(app, command),
    }
    None
}

/// Copies the commit of a deployment, or its id where that is not known.
fn copy(app: &mut App, id: &Id) -> Effect {
    let commit = Known::of(app, id).and_then(|known| known.heard?.commit.clone());
    let copied = printable(commit.as_deref().unwrap_or(id.as_str()));
    app.say(Tone::Good, format!("copied {copied}"));
    Effect::Copy(copied)
}

fn open_one(app: &mut App, id: Id) {
    let title = Known::of(app, &id).map(|known| title(&known)).unwrap_or_default();
    app.screens.push(Screen::Deployment(DeploymentScreen::new(id, title)));
}

/// `switch main`
fn title(known: &Known<'_>) -> String {
    let words = [known.action().map(Action::as_str), known.revision()];
    let words: Vec<_> = words.into_iter().flatten().map(printable).collect();
    if words.is_empty() { "a deployment".to_owned() } else { words.join(" ") }
}

/// Lets no further wave begin.
fn abort(app: &mut App, id: &Id) -> Option<Effect> {
    let order = Known::of(app, id).and_then(|known| known.order);
    let (tone, text) = match order.map(|order| (order.goes_on(), order.wave())) {
        Some((true, _)) => (Tone::Warn, "no further wave begins; what was sent goes on"),
        Some((false, Some(_))) => (Tone::Warn, "no wave of this deployment is left to be sent"),
        Some((false, None)) => (Tone::Warn, "this deployment went out at once; c cancels what still runs"),
        None => (Tone::Warn, "this was not sent from here; c cancels what still runs"),
    };
    let effect = order.filter(|order| order.goes_on()).map(|_| Effect::Abort(id.clone()));
    app.say(tone, text);
    effect
}

/// Aborts the one deployment that has waves left.
pub(super) fn abort_the_only(app: &mut App) -> Result<Option<Effect>, String> {
    let mut going = app.orders.iter().filter(|order| order.goes_on()).map(|order| order.plan.id.clone());
    match (going.next(), going.next()) {
        (Some(id), None) => Ok(abort(app, &id)),
        (None, _) => Err("no deployment of ours has waves left".to_owned()),
        (Some(_), Some(_)) => {
            Err("several deployments have waves left: open one with v, and press a".to_owned())
        }
    }
}

/// Asks before the jobs of a deployment are cancelled that still run.
fn ask_to_cancel(app: &mut App, id: &Id) {
    let Some(known) = Known::of(app, id) else { return };
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    for part in known.parts() {
        let Some(job) = part.job.filter(|job| !job.report.status.is_final()) else { continue };
        let host = app.fleet.hosts.get(part.host);
        let running = host.and_then(Host::running_job);
        let is_there = host.is_some_and(|host| host.presence(app.now) == Presence::Online);
        let runs = running.is_some_and(|running| running.id == job.report.id);
        if runs && is_there { &mut hosts } else { &mut others }.push(part.host.clone());
    }
    hosts.dedup();
    if hosts.is_empty() {
        return app.say(
            Tone::Warn,
            match listed(&others) {
                None => "nothing of this deployment runs any more".to_owned(),
                Some(others) => format!("what may still run of it is silent or at another job: {others}"),
            },
        );
    }
    let asked = listed(&hosts).unwrap_or_default();
    let mut text = format!("Cancel {} on {asked}? What has begun to activate goes on.", title(&known));
    if let Some(others) = listed(&others) {
        text = format!("{text} Not asked, for they are silent or at another job: {others}.");
    }
    match Plan::cancel(app.options.issuer.clone(), &hosts, &app.fleet, app.now) {
        Ok(plan) => app.overlay = Some(Overlay::Question(Box::new(Question { text, plan, yes: false }))),
        Err(error) => app.say(Tone::Warn, error.to_string()),
    }
}

fn listed(hosts: &[Name]) -> Option<String> {
    let hosts: Vec<_> = hosts.iter().map(Name::as_str).collect();
    (!hosts.is_empty()).then(|| hosts.join(", "))
}

/// Opens the form for exactly those hosts that will not complete any more.
fn deploy_to_the_rest(app: &mut App, id: &Id) {
    let Some(known) = Known::of(app, id) else { return };
    if matches!(known.action(), Some(Action::Rollback | Action::Reboot)) {
        return app
            .say(Tone::Warn, "this deployed nothing; the fleet screen has keys to roll back and to reboot");
    }
    let missed =
        [PartState::Failed, PartState::Rejected, PartState::Lost, PartState::Silent, PartState::Untouched];
    let parts = known.parts();
    let hosts = parts.iter().filter(|part| missed.contains(&part.state)).map(|part| part.host.clone());
    let mut hosts: Vec<_> = hosts.collect();
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.is_empty() {
        return app.say(Tone::Warn, "every host of this deployment has completed or is still at work");
    }
    let label = format!("{} that did not complete", hosts.len());
    let form = Form::again(app, label, hosts, known.revision(), known.action());
    app.overlay = form.map(|form| Overlay::Form(Box::new(form)));
}
