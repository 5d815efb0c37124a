//! Keys on the fleet screen and in its filter.

use super::{builds_screen, command_line, deployments_screen, host_screen, log_screen};
use crate::deployer::Plan;
use crate::protocol::Name;
use crate::tui::app::Question;
use crate::tui::{App, Command, Effect, Filter, Form, Overlay, Purpose, Tone, view};
use tui_input::Input;

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    let page = view::rows_in_view(app.size).max(1);
    let (row, last) = (app.table.row(), app.table.rows().len().saturating_sub(1));
    match command {
        Command::Down => app.table.select(row + 1),
        Command::Up => app.table.select(row.saturating_sub(1)),
        Command::PageDown => app.table.select(row + page),
        Command::PageUp => app.table.select(row.saturating_sub(page)),
        Command::First => app.table.select(0),
        Command::Last => app.table.select(last),
        Command::Open => return open(app),
        Command::Fold | Command::Unfold => app.table.fold(&app.fleet, command == Command::Fold),
        Command::Group => {
            app.table.grouped = !app.table.grouped;
            app.table.touch();
        }
        Command::Faults => {
            app.table.faults = !app.table.faults;
            app.table.touch();
        }
        Command::Wide => app.table.wide = !app.table.wide,
        Command::Copy => return copy_names(app),
        Command::Mark => {
            app.table.mark();
            app.table.select(row + 1);
        }
        Command::MarkAll => app.table.mark_all(),
        Command::Filter => {
            let filter = app.table.filter.clone();
            app.typing = Some((Input::new(filter.text.clone()), filter));
        }
        Command::Sort => {
            (app.table.sort, app.table.reverse) = (app.table.sort.next(), false);
            app.table.touch();
        }
        Command::Reverse => {
            app.table.reverse = !app.table.reverse;
            app.table.touch();
        }
        Command::Deploy => open_form(app, Purpose::Deploy),
        Command::Rollback => open_form(app, Purpose::Rollback(None)),
        Command::Reboot => open_form(app, Purpose::Reboot),
        Command::Diff => open_form(app, Purpose::Diff),
        Command::Cancel => ask_to_cancel(app, app.meant()),
        Command::Log => log_screen::open(app),
        Command::CommandLine => command_line::open(app),
        Command::Deployments => deployments_screen::open(app),
        Command::Builds => builds_screen::open(app),
        Command::Help => app.overlay = Some(Overlay::Help(0)),
        Command::Back => step_back(app),
        Command::Quit => return Some(Effect::Quit),
        _ => {}
    }
    None
}

fn open(app: &mut App) -> Option<Effect> {
    match (app.table.is_folded(), app.table.host().cloned()) {
        (Some(folded), _) => app.table.fold(&app.fleet, !folded),
        (None, Some(host)) => return Some(host_screen::open(app, host)),
        (None, None) => {}
    }
    None
}

pub(super) fn copy_names(app: &mut App) -> Option<Effect> {
    let names: Vec<_> = app.meant().iter().map(ToString::to_string).collect();
    let first = names.first()?;
    let what = if names.len() == 1 { first.clone() } else { format!("the names of {} hosts", names.len()) };
    app.say(Tone::Good, format!("copied {what}"));
    Some(Effect::Copy(names.join("\n")))
}

pub(super) fn open_form(app: &mut App, purpose: Purpose) {
    match Form::open(app, purpose) {
        Some(form) => app.overlay = Some(Overlay::Form(Box::new(form))),
        None => app.say(Tone::Warn, "there is no host yet"),
    }
}

fn step_back(app: &mut App) {
    if app.dismiss() {
    } else if app.table.is_filtered() {
        (app.table.filter, app.table.faults) = (Filter::default(), false);
        app.table.touch();
    } else {
        app.table.marks.clear();
    }
}

pub(super) fn ask_to_cancel(app: &mut App, mut hosts: Vec<Name>) {
    let runs = |name: &_| app.fleet.hosts.get(name).is_some_and(|host| host.running_job().is_some());
    if hosts.len() > 1 {
        // Of many that are marked, those that have something to cancel.
        hosts.retain(runs);
    }
    if hosts.is_empty() {
        return app.say(Tone::Warn, "no job runs there");
    }
    match Plan::cancel(app.options.issuer.clone(), &hosts, &app.fleet, app.now) {
        Ok(plan) => {
            let names: Vec<_> = hosts.iter().map(ToString::to_string).collect();
            let jobs = if hosts.len() == 1 { "the job" } else { "the jobs" };
            let text = format!("Cancel {jobs} on {}? What has begun to activate goes on.", names.join(", "));
            app.overlay = Some(Overlay::Question(Box::new(Question { text, plan, yes: false })));
        }
        Err(error) => app.say(Tone::Warn, error.to_string()),
    }
}

pub(super) fn act_on_filter(app: &mut App, command: Command) -> Option<Effect> {
    let (_, before) = app.typing.take()?;
    app.bad_filter = None;
    if command == Command::Back {
        app.table.filter = before;
        app.table.touch();
    }
    None
}

/// Filters by what is typed; what is no filter yet changes nothing and says why.
pub(super) fn take_filter(app: &mut App) {
    let Some((input, _)) = &app.typing else { return };
    match Filter::parse(input.value()) {
        Ok(filter) => {
            (app.table.filter, app.bad_filter) = (filter, None);
            app.table.touch();
        }
        Err(reason) => app.bad_filter = Some(reason),
    }
}
