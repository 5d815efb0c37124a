//! The command line: what a line does once it is entered.

use super::fleet_screen::{self, ask_to_cancel};
use super::{builds_screen, deployments_screen, dialog::down, host_screen};
use crate::deployer::{Intent, Plan, Selection, Target};
use crate::protocol::{Action, Name};
use crate::tui::command_line::{self, CommandLine, Said, Targets};
use crate::tui::form::Choice;
use crate::tui::{App, Command, Effect, Filter, Form, LogKey, LogScreen, Overlay, Purpose, Screen, Tone};

pub(super) fn open(app: &mut App) {
    app.overlay = Some(Overlay::Command(CommandLine::default()));
}

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    let Some(Overlay::Command(mut line)) = app.overlay.take() else { return None };
    match command {
        Command::Complete => line.complete(app),
        Command::Up | Command::Down => line.recall(command == Command::Up, &app.said),
        Command::Accept => {
            let text = line.input.value().trim().to_owned();
            match Said::parse(&text, app) {
                Ok(None) => return None,
                Ok(Some(said)) => match carry_out(app, said) {
                    Ok(effect) => {
                        command_line::note(&mut app.said, &text);
                        return effect;
                    }
                    Err(why) => line.refused = Some(why),
                },
                Err(why) => line.refused = Some(why),
            }
        }
        _ => return None,
    }
    app.overlay = Some(Overlay::Command(line));
    None
}

fn carry_out(app: &mut App, said: Said) -> Result<Option<Effect>, String> {
    let fleet = |app: &mut App, command| fleet_screen::act(app, command);
    Ok(match said {
        Said::Deploy { targets, branch, action, waves } => {
            open_form(app, Purpose::Deploy, &targets, |form| {
                let actions = Purpose::Deploy.actions();
                form.action =
                    action.and_then(|action| actions.iter().position(|other| *other == action)).unwrap_or(0);
                form.revise(branch);
                form.divide(waves);
            })?;
            None
        }
        Said::Diff { targets, branch } => {
            open_form(app, Purpose::Diff, &targets, |form| form.revise(branch))?;
            None
        }
        Said::Rollback { targets, generation } => {
            open_form(app, Purpose::Rollback(generation), &targets, |_| {})?;
            None
        }
        Said::Reboot { targets, waves } => {
            open_form(app, Purpose::Reboot, &targets, |form| form.divide(waves))?;
            None
        }
        Said::Cancel(targets) => {
            let hosts = meant(app, &targets)?;
            ask_to_cancel(app, hosts);
            None
        }
        Said::Abort => return deployments_screen::abort_the_only(app),
        Said::Hold { host, reason } => {
            return decide_at_once(app, Action::Hold, vec![host], Some(reason)).map(Some);
        }
        Said::Release(targets) => {
            let hosts = meant(app, &targets)?;
            return decide_at_once(app, Action::Release, hosts, None).map(Some);
        }
        Said::Mark(targets) => {
            let hosts = meant(app, &targets)?;
            app.say(Tone::Good, format!("{} marked", hosts.len()));
            app.table.marks.extend(hosts);
            None
        }
        Said::Unmark => {
            app.table.marks.clear();
            None
        }
        Said::Hosts => {
            app.screens.clear();
            None
        }
        Said::Host(host) => Some(host_screen::open(app, host)),
        Said::Log(host) => {
            let key = app
                .fleet
                .hosts
                .get(&host)
                .and_then(LogKey::of)
                .ok_or_else(|| format!("{host} has no job whose log could be read"))?;
            app.screens.push(Screen::Log(LogScreen::new(key)));
            None
        }
        Said::Builds => {
            builds_screen::open(app);
            None
        }
        Said::Deployments => {
            deployments_screen::open(app);
            None
        }
        Said::Filter(text) => {
            app.screens.clear();
            app.table.filter = Filter::parse(&text)?;
            app.table.touch();
            None
        }
        Said::Sort(sort) => {
            (app.table.sort, app.table.reverse) = (sort, false);
            app.table.touch();
            None
        }
        Said::Group => fleet(app, Command::Group),
        Said::Faults => fleet(app, Command::Faults),
        Said::Wide => fleet(app, Command::Wide),
        Said::Context(name) => return switch(app, name).map(Some),
        Said::Help => fleet(app, Command::Help),
        Said::Quit => Some(Effect::Quit),
    })
}

/// The hosts that were named; where none were, those that a key would be about.
fn meant(app: &App, targets: &Targets) -> Result<Vec<Name>, String> {
    let hosts = if targets.is_empty() { app.meant() } else { targets.find(&app.fleet)? };
    if hosts.is_empty() { Err("name a host, role= or tier=".to_owned()) } else { Ok(hosts) }
}

/// Sends what changes nothing that runs, and so needs no question.
fn decide_at_once(
    app: &mut App,
    action: Action,
    hosts: Vec<Name>,
    reason: Option<String>,
) -> Result<Effect, String> {
    if let Some(why) = down(app) {
        return Err(why);
    }
    let issuer = app.options.issuer.clone();
    let intent = Intent { reason, ..Intent::new(action, issuer) };
    let hosts = Selection::Targets(hosts.into_iter().map(Target::Host).collect());
    let plan = Plan::new(intent, &hosts, &app.fleet, app.now, false).map_err(|error| error.to_string())?;
    app.remember(plan.clone());
    Ok(Effect::Send(Box::new(plan)))
}

fn open_form(
    app: &mut App,
    purpose: Purpose,
    targets: &Targets,
    fill: impl FnOnce(&mut Form),
) -> Result<(), String> {
    let hosts = targets.find(&app.fleet)?;
    let named =
        (!targets.is_empty()).then(|| Choice { label: targets.label(), hosts, is_group: targets.is_group() });
    let form = match named {
        Some(named) => Form::of(app, purpose, vec![named]),
        None => Form::open(app, purpose),
    };
    let mut form = form.ok_or("there is no host yet")?;
    fill(&mut form);
    form.work_out(app);
    app.overlay = Some(Overlay::Form(Box::new(form)));
    Ok(())
}

fn switch(app: &App, name: String) -> Result<Effect, String> {
    let contexts = &app.options.contexts;
    if app.options.context.as_ref() == Some(&name) {
        return Err(format!("this is the context {name}"));
    }
    if contexts.contains(&name) {
        return Ok(Effect::Switch(name));
    }
    if contexts.is_empty() {
        let why = "no context can be gone to: the server was named beside the configuration, or it has none";
        return Err(why.to_owned());
    }
    Err(format!("no context {name:?}; there are {}", contexts.join(", ")))
}
