//! Keys on the screens of all deployments and of one deployment.

use super::fleet_screen::{ask_to_cancel_these, copy_names};
use super::{changes_screen, events_screen, host_screen, log_screen, logs_screen, rollouts, timeline_screen};
use crate::fleet::{Host, Reachability, natural_cmp};
use crate::protocol::{Action, Id, Name, RolloutCommand};
use crate::text::printable;
use crate::tui::known_deployment::{DeploymentHostState, KnownDeployment};
use crate::tui::{
    App, DeploymentScreen, DeploymentsScreen, Effect, Form, FormKind, KeyCommand, Overlay, Screen,
    TargetChoice, Tone, view,
};

/// Opens the screen of all deployments; on a host screen, at the deployment of the selected or last job.
pub(super) fn open(app: &mut App) {
    let screen = app.screens.last().and_then(Screen::as_host);
    let selected = screen.and_then(|screen| screen.job(&app.fleet));
    app.screens.push(Screen::Deployments(DeploymentsScreen::new(selected)));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::rows_in_view(app.size);
    let Some(Screen::Deployments(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        return None;
    }
    match (command, screen.cursor.selected().cloned()) {
        (KeyCommand::Open, Some(id)) => open_one(app, id),
        (KeyCommand::Copy, Some(id)) => return Some(copy(app, &id)),
        (KeyCommand::Timeline, Some(id)) => timeline_screen::open_for(app, id),
        (KeyCommand::Changes, Some(id)) => changes_screen::open_for(app, id),
        (KeyCommand::Events, _) => return events_screen::open(app),
        (_, Some(id)) if command.is_control() => return control(app, &id, command),
        _ => super::step(app, command),
    }
    None
}

/// Cancels the jobs of a deployment, or controls its rollout.
pub(super) fn control(app: &mut App, id: &Id, command: KeyCommand) -> Option<Effect> {
    match command {
        KeyCommand::Abort => rollouts::control(app, id, &RolloutCommand::Abort),
        KeyCommand::Pause => rollouts::control(app, id, &RolloutCommand::Pause),
        KeyCommand::Continue => rollouts::control(app, id, &RolloutCommand::Continue),
        KeyCommand::Undo => roll_back_done(app, id),
        _ => {
            ask_to_cancel(app, id);
            None
        }
    }
}

pub(super) fn act_on_one(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Screen::Deployment(screen)) = app.screens.last() else { return None };
    let (page, last) = (view::parts_in_view(app, screen), view::part_lines_below(app, screen));
    let Some(Screen::Deployment(screen)) = app.screens.last_mut() else { return None };
    if screen.cursor.go(command, page) {
        screen.top = 0;
        return None;
    }
    let (id, selected) = (screen.id.clone(), screen.cursor.selected().cloned());
    match (command, selected) {
        (KeyCommand::PaneDown, _) => screen.top = (screen.top + 1).min(last),
        (KeyCommand::PaneUp, _) => screen.top = screen.top.min(last).saturating_sub(1),
        (KeyCommand::Open, Some((host, _))) => return Some(host_screen::open(app, host)),
        (KeyCommand::Log, Some(_)) => log_screen::open(app),
        (KeyCommand::Copy, Some(_)) => return copy_names(app),
        (KeyCommand::Shell, _) => return host_screen::open_shell(app),
        (KeyCommand::Timeline, _) => timeline_screen::open_for(app, id),
        (KeyCommand::Changes, _) => changes_screen::open_for(app, id),
        (KeyCommand::Logs, _) => logs_screen::open(app),
        (KeyCommand::Events, _) => return events_screen::open(app),
        _ if command.is_control() => return control(app, &id, command),
        (KeyCommand::Deploy, _) => deploy_to_the_rest(app, &id),
        _ => super::step(app, command),
    }
    None
}

/// Copies the commit of a deployment, or its id if the commit is not known.
fn copy(app: &mut App, id: &Id) -> Effect {
    let commit = KnownDeployment::of(app, id).and_then(|known| known.reported?.commit.clone());
    let copied = printable(commit.as_deref().unwrap_or(id.as_str()));
    app.show_notice(Tone::Good, format!("copied {copied}"));
    Effect::Copy(copied)
}

pub(super) fn open_one(app: &mut App, id: Id) {
    let title = KnownDeployment::of(app, &id).map(|known| known.title()).unwrap_or_default();
    app.screens.push(Screen::Deployment(DeploymentScreen::new(id, title)));
}

/// Opens the prompt to cancel the running jobs of a deployment.
fn ask_to_cancel(app: &mut App, id: &Id) {
    let Some(known) = KnownDeployment::of(app, id) else { return };
    let (mut hosts, mut others) = (Vec::new(), Vec::new());
    for entry in known.host_entries() {
        let Some(job) = entry.job.filter(|job| !job.report.status.is_final()) else { continue };
        let host = app.fleet.hosts.get(entry.host);
        let running = host.and_then(Host::running_job);
        let is_there = host.is_some_and(|host| host.reachability(app.now) == Reachability::Online);
        let runs = running.is_some_and(|running| running.id == job.report.id);
        if runs && is_there { &mut hosts } else { &mut others }.push(entry.host.clone());
    }
    hosts.dedup();
    if hosts.is_empty() {
        return app.show_notice(
            Tone::Warn,
            match listed(&others) {
                None => "no job of this deployment is running".to_owned(),
                Some(others) => {
                    format!("cannot cancel: these hosts do not answer or run another job: {others}")
                }
            },
        );
    }
    let others = listed(&others)
        .map(|others| format!(" Not included, because they do not answer or run another job: {others}."));
    let title = known.title();
    ask_to_cancel_these(app, &title, hosts, &others.unwrap_or_default());
}

fn listed(hosts: &[Name]) -> Option<String> {
    let hosts: Vec<_> = hosts.iter().map(Name::as_str).collect();
    (!hosts.is_empty()).then(|| hosts.join(", "))
}

/// Opens the form for exactly the hosts that did not complete and will not.
fn deploy_to_the_rest(app: &mut App, id: &Id) {
    let Some(known) = KnownDeployment::of(app, id) else { return };
    if matches!(known.action(), Some(Action::Rollback | Action::Reboot)) {
        return app.show_notice(
            Tone::Warn,
            "this was not a deployment of a revision; roll back and reboot from the fleet screen",
        );
    }
    let missed = [
        DeploymentHostState::Failed,
        DeploymentHostState::Rejected,
        DeploymentHostState::Cancelled,
        DeploymentHostState::Unknown,
        DeploymentHostState::NoAnswer,
        DeploymentHostState::NotStarted,
    ];
    let host_entries = known.host_entries();
    let hosts =
        host_entries.iter().filter(|entry| missed.contains(&entry.state)).map(|entry| entry.host.clone());
    let mut hosts: Vec<_> = hosts.collect();
    hosts.sort_unstable();
    hosts.dedup();
    if hosts.is_empty() {
        return app
            .show_notice(Tone::Warn, "every host of this deployment has completed or is still running");
    }
    let label = format!("{} that did not complete", hosts.len());
    let form = Form::for_hosts(app, label, hosts, known.revision(), known.action());
    app.overlay = form.map(|form| Overlay::Form(Box::new(form)));
}

/// Opens the form that rolls back the hosts on which the deployment completed, and pauses the rollout.
fn roll_back_done(app: &mut App, id: &Id) -> Option<Effect> {
    let known = KnownDeployment::of(app, id)?;
    if !known.takes(KeyCommand::Undo) {
        app.show_notice(Tone::Warn, "no host of this deployment has a new system to roll back");
        return None;
    }
    let pauses = known.takes(KeyCommand::Pause);
    let host_entries = known.host_entries();
    let done = host_entries.iter().filter(|entry| entry.state == DeploymentHostState::Completed);
    let mut hosts: Vec<_> = done.map(|entry| entry.host.clone()).collect();
    hosts.sort_unstable_by(natural_cmp);
    hosts.dedup();
    let label = format!("{} that are done", hosts.len());
    let choice = TargetChoice { label, hosts, is_group: false };
    let form = Form::with_choices(app, FormKind::Rollback(None), vec![choice]);
    let effect = if pauses { rollouts::control(app, id, &RolloutCommand::Pause) } else { None };
    app.overlay = form.map(|form| Overlay::Form(Box::new(form)));
    effect
}
