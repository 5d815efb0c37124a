//! Executes a line of the command line.

use super::fleet_screen::{self, ask_to_cancel};
use super::{
    builds_screen, deployments_screen, dialog::down, events_screen, heat_map_screen, host_screen, log_screen,
    logs_screen, rollouts, timeline_screen,
};
use crate::client::{Intent, Plan, Selection, Target};
use crate::protocol::{Action, Name, RolloutCommand};
use crate::tui::command_line::{self, CommandLine, ParsedCommand, Targets};
use crate::tui::form::TargetChoice;
use crate::tui::{App, Effect, Filter, Form, FormKind, KeyCommand, LogKey, LogScreen, Overlay, Screen, Tone};

pub(super) fn open(app: &mut App) {
    app.overlay = Some(Overlay::Command(CommandLine::default()));
}

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Overlay::Command(mut line)) = app.overlay.take() else { return None };
    match command {
        KeyCommand::Complete => line.complete(app),
        KeyCommand::Up | KeyCommand::Down => line.recall(command == KeyCommand::Up, &app.command_history),
        KeyCommand::Accept => {
            let text = line.input.value().trim().to_owned();
            match ParsedCommand::parse(&text, app) {
                Ok(None) => return None,
                Ok(Some(command)) => match perform(app, command) {
                    Ok(effect) => {
                        command_line::add_to_history(&mut app.command_history, &text);
                        return effect;
                    }
                    Err(reason) => line.error = Some(reason),
                },
                Err(reason) => line.error = Some(reason),
            }
        }
        _ => return None,
    }
    app.overlay = Some(Overlay::Command(line));
    None
}

fn open_deploy_form(
    app: &mut App,
    targets: &Targets,
    branch: Option<String>,
    action: Option<Action>,
    batches: Option<String>,
) -> Result<(), String> {
    open_form(app, FormKind::Deploy, targets, |form| {
        let actions = FormKind::Deploy.actions();
        form.action =
            action.and_then(|action| actions.iter().position(|other| *other == action)).unwrap_or(0);
        form.set_revision(branch);
        form.set_batches(batches);
    })
}

fn perform(app: &mut App, command: ParsedCommand) -> Result<Option<Effect>, String> {
    let fleet = |app: &mut App, command| fleet_screen::act(app, command);
    Ok(match command {
        ParsedCommand::Deploy { targets, branch, action, batches } => {
            open_deploy_form(app, &targets, branch, action, batches)?;
            None
        }
        ParsedCommand::Diff { targets, branch } => {
            open_form(app, FormKind::Diff, &targets, |form| form.set_revision(branch))?;
            None
        }
        ParsedCommand::Rollback { targets, generation } => {
            open_empty_form(app, FormKind::Rollback(generation), &targets)?
        }
        ParsedCommand::Reboot { targets, batches } => {
            open_form(app, FormKind::Reboot, &targets, |form| form.set_batches(batches))?;
            None
        }
        ParsedCommand::Resume(targets) => open_empty_form(app, FormKind::Resume, &targets)?,
        ParsedCommand::Diagnose(targets) => open_empty_form(app, FormKind::Diagnose, &targets)?,
        ParsedCommand::Cancel(targets) => {
            let hosts = target_hosts(app, &targets)?;
            ask_to_cancel(app, hosts);
            None
        }
        ParsedCommand::Abort => return rollouts::control_the_only(app, &RolloutCommand::Abort),
        ParsedCommand::Pause => return rollouts::control_the_only(app, &RolloutCommand::Pause),
        ParsedCommand::Continue => return rollouts::control_the_only(app, &RolloutCommand::Continue),
        ParsedCommand::Hold { host, reason } => {
            let host = Selection::Targets(vec![Target::Host(host)]);
            return send_without_form(app, Action::Hold, &host, Some(reason)).map(Some);
        }
        ParsedCommand::Release(targets) => {
            let hosts = target_hosts(app, &targets)?;
            let hosts = if !targets.is_empty() && targets.is_group() {
                Selection::Group(hosts)
            } else {
                Selection::Targets(hosts.into_iter().map(Target::Host).collect())
            };
            return send_without_form(app, Action::Release, &hosts, None).map(Some);
        }
        ParsedCommand::Mark(targets) => {
            let hosts = target_hosts(app, &targets)?;
            app.show_notice(Tone::Good, format!("{} marked", hosts.len()));
            app.table.marks.extend(hosts);
            None
        }
        ParsedCommand::Unmark => {
            app.table.marks.clear();
            None
        }
        ParsedCommand::Hosts => {
            app.screens.clear();
            None
        }
        ParsedCommand::Host(host) => Some(host_screen::open(app, host)),
        ParsedCommand::Log(host) => {
            let key = app
                .fleet
                .hosts
                .get(&host)
                .and_then(LogKey::of)
                .ok_or_else(|| format!("{host} has no job with a log"))?;
            app.screens.push(Screen::Log(LogScreen::new(key)));
            None
        }
        command @ (ParsedCommand::Builds
        | ParsedCommand::Deployments
        | ParsedCommand::Grep { .. }
        | ParsedCommand::Events
        | ParsedCommand::Timeline
        | ParsedCommand::HeatMap
        | ParsedCommand::Messages) => return open_screen(app, command),
        ParsedCommand::Filter(text) => {
            app.screens.clear();
            app.table.filter = Filter::parse(&text)?;
            app.table.invalidate();
            None
        }
        ParsedCommand::Sort(sort) => {
            (app.table.sort, app.table.reverse) = (sort, false);
            app.table.invalidate();
            None
        }
        ParsedCommand::SortList(column) => {
            app.sort_list(column);
            None
        }
        ParsedCommand::Save(path) => return log_screen::save(app, &path).map(Some),
        ParsedCommand::Group => fleet(app, KeyCommand::Group),
        ParsedCommand::Faults => fleet(app, KeyCommand::Faults),
        ParsedCommand::Wide => fleet(app, KeyCommand::Wide),
        ParsedCommand::Context(name) => return switch(app, name).map(|effect| rollouts::leave(app, effect)),
        ParsedCommand::Help => fleet(app, KeyCommand::Help),
        ParsedCommand::Quit => rollouts::leave(app, Effect::Quit),
    })
}

/// Opens the screen or the dialog that a command names.
fn open_screen(app: &mut App, command: ParsedCommand) -> Result<Option<Effect>, String> {
    match command {
        ParsedCommand::Builds => builds_screen::open(app),
        ParsedCommand::Deployments => deployments_screen::open(app),
        ParsedCommand::Grep { targets, pattern } => {
            let hosts = match (targets.is_empty(), app.table.marks.is_empty()) {
                (false, _) => targets.find(&app.fleet)?,
                (true, false) => app.table.marks.iter().cloned().collect(),
                (true, true) => app.table.listed().to_vec(),
            };
            logs_screen::grep(app, &hosts, &pattern);
        }
        ParsedCommand::Events => return Ok(events_screen::open(app)),
        ParsedCommand::Timeline => timeline_screen::open(app),
        ParsedCommand::HeatMap => {
            app.screens.clear();
            heat_map_screen::open(app);
        }
        ParsedCommand::Messages => app.overlay = Some(Overlay::Messages(0)),
        _ => {}
    }
    Ok(None)
}

/// The named hosts; without names, the hosts that a key would apply to.
fn target_hosts(app: &App, targets: &Targets) -> Result<Vec<Name>, String> {
    let hosts = if targets.is_empty() { app.target_hosts() } else { targets.find(&app.fleet)? };
    if hosts.is_empty() {
        Err("no hosts selected: name a host, role= or tier=".to_owned())
    } else {
        Ok(hosts)
    }
}

/// Sends an action that needs no confirmation, because it does not change the running system.
fn send_without_form(
    app: &mut App,
    action: Action,
    hosts: &Selection,
    reason: Option<String>,
) -> Result<Effect, String> {
    if let Some(reason) = down(app) {
        return Err(reason);
    }
    let issuer = app.options.issuer.clone();
    let intent = Intent { reason, ..Intent::new(action, issuer) };
    let plan = Plan::new(intent, hosts, &app.fleet, app.now, false).map_err(|error| error.to_string())?;
    if plan.requests.is_empty() {
        let left_out = plan.left_out.iter().map(|(host, reason)| reason.advice(host));
        return Err(format!("{}; nothing was sent", left_out.collect::<Vec<_>>().join("; ")));
    }
    app.record_sent(plan.clone());
    Ok(Effect::Send(Box::new(plan)))
}

fn open_empty_form(app: &mut App, kind: FormKind, targets: &Targets) -> Result<Option<Effect>, String> {
    open_form(app, kind, targets, |_| {})?;
    Ok(None)
}

fn open_form(
    app: &mut App,
    kind: FormKind,
    targets: &Targets,
    fill: impl FnOnce(&mut Form),
) -> Result<(), String> {
    let hosts = targets.find(&app.fleet)?;
    let named = (!targets.is_empty()).then(|| TargetChoice {
        label: targets.label(),
        hosts,
        is_group: targets.is_group(),
    });
    let form = match named {
        Some(named) => Form::with_choices(app, kind, vec![named]),
        None => Form::open(app, kind),
    };
    let mut form = form.ok_or("no hosts yet")?;
    fill(&mut form);
    form.update_plan(app);
    app.overlay = Some(Overlay::Form(Box::new(form)));
    Ok(())
}

fn switch(app: &App, name: String) -> Result<Effect, String> {
    let contexts = &app.options.contexts;
    if app.options.context.as_ref() == Some(&name) {
        return Err(format!("already in the context {name}"));
    }
    if contexts.contains(&name) {
        return Ok(Effect::SwitchContext(name));
    }
    if contexts.is_empty() {
        let reason =
            "no contexts available: the configuration has none, or the server was given by an option";
        return Err(reason.to_owned());
    }
    Err(format!("unknown context {name:?}: expected one of {}", contexts.join(", ")))
}
