//! Keys on the fleet screen and in its filter field.

use super::{
    builds_screen, command_line, deployments_screen, events_screen, heat_map_screen, host_screen, log_screen,
    logs_screen, rollouts, timeline_screen,
};
use crate::client::{Plan, Selection, Target};
use crate::protocol::Name;
use crate::text::format;
use crate::tui::app::ConfirmDialog;
use crate::tui::{App, Effect, Filter, Form, FormKind, KeyCommand, Overlay, Tone, view};
use tui_input::Input;

pub(super) fn act(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::hosts_in_view(app).max(1);
    let (row, last) = (app.table.row(), app.table.rows().len().saturating_sub(1));
    match command {
        KeyCommand::Down => app.table.select(row + 1),
        KeyCommand::Up => app.table.select(row.saturating_sub(1)),
        KeyCommand::PageDown => app.table.select(row + page),
        KeyCommand::PageUp => app.table.select(row.saturating_sub(page)),
        KeyCommand::First => app.table.select_first(),
        KeyCommand::Last => app.table.select(last),
        KeyCommand::Open => return open(app),
        KeyCommand::Fold | KeyCommand::Unfold => app.table.fold(command == KeyCommand::Fold),
        KeyCommand::Group => {
            app.table.grouped = !app.table.grouped;
            app.table.invalidate();
        }
        KeyCommand::Faults => {
            app.table.faults = !app.table.faults;
            app.table.invalidate();
        }
        KeyCommand::Wide => app.table.wide = !app.table.wide,
        KeyCommand::Copy => return copy_names(app),
        KeyCommand::Mark => {
            app.table.mark();
            app.table.select(row + 1);
        }
        KeyCommand::MarkAll => app.table.mark_all(),
        KeyCommand::Filter => {
            let filter = app.table.filter.clone();
            app.filter_input = Some((Input::new(filter.text.clone()), filter));
        }
        KeyCommand::Sort => {
            (app.table.sort, app.table.reverse) = (app.table.sort.next(), false);
            app.table.invalidate();
        }
        KeyCommand::Reverse => {
            app.table.reverse = !app.table.reverse;
            app.table.invalidate();
        }
        KeyCommand::Deploy => open_form(app, FormKind::Deploy),
        KeyCommand::Rollback => open_form(app, FormKind::Rollback(None)),
        KeyCommand::Reboot => open_form(app, FormKind::Reboot),
        KeyCommand::Diff => open_form(app, FormKind::Diff),
        KeyCommand::Cancel => ask_to_cancel(app, app.target_hosts()),
        KeyCommand::Shell => return host_screen::open_shell(app),
        KeyCommand::Log => log_screen::open(app),
        KeyCommand::CommandLine => command_line::open(app),
        KeyCommand::Deployments => deployments_screen::open(app),
        KeyCommand::Timeline => timeline_screen::open(app),
        KeyCommand::Events => return events_screen::open(app),
        KeyCommand::HeatMap => heat_map_screen::open(app),
        KeyCommand::Logs => logs_screen::open(app),
        KeyCommand::Builds => builds_screen::open(app),
        KeyCommand::Help => app.overlay = Some(Overlay::Help(0)),
        KeyCommand::Back => step_back(app),
        KeyCommand::Quit => return rollouts::leave(app, Effect::Quit),
        _ => {}
    }
    None
}

fn open(app: &mut App) -> Option<Effect> {
    match (app.table.is_folded(), app.table.host().cloned()) {
        (Some(folded), _) => app.table.fold(!folded),
        (None, Some(host)) => return Some(host_screen::open(app, host)),
        (None, None) => {}
    }
    None
}

pub(super) fn copy_names(app: &mut App) -> Option<Effect> {
    let names: Vec<_> = app.target_hosts().iter().map(ToString::to_string).collect();
    let first = names.first()?;
    let what = if names.len() == 1 { first.clone() } else { format!("the names of {} hosts", names.len()) };
    app.show_notice(Tone::Good, format!("copied {what}"));
    Some(Effect::Copy(names.join("\n")))
}

pub(super) fn open_form(app: &mut App, kind: FormKind) {
    match Form::open(app, kind) {
        Some(form) => app.overlay = Some(Overlay::Form(Box::new(form))),
        None => app.show_notice(Tone::Warn, "no hosts yet"),
    }
}

fn step_back(app: &mut App) {
    if app.dismiss_notice() {
    } else if app.table.is_filtered() {
        (app.table.filter, app.table.faults) = (Filter::default(), false);
        app.table.invalidate();
    } else {
        app.table.marks.clear();
    }
}

pub(super) fn ask_to_cancel(app: &mut App, mut hosts: Vec<Name>) {
    let runs = |name: &_| app.fleet.hosts.get(name).is_some_and(|host| host.running_job().is_some());
    if hosts.len() > 1 {
        // Of several marked hosts, only those with a running job can cancel one.
        hosts.retain(runs);
    }
    if hosts.is_empty() {
        return app.show_notice(Tone::Warn, "no running job to cancel");
    }
    let jobs = format::plural(hosts.len(), "the job");
    ask_to_cancel_these(app, &jobs, hosts, "");
}

/// Asks whether to cancel `jobs` of these hosts. Of several hosts, unsuitable ones are left out. `note` ends the text.
pub(super) fn ask_to_cancel_these(app: &mut App, jobs: &str, hosts: Vec<Name>, note: &str) {
    let selection = if hosts.len() == 1 {
        Selection::Targets(hosts.into_iter().map(Target::Host).collect())
    } else {
        Selection::Group(hosts)
    };
    let plan = match Plan::cancel(app.options.issuer.clone(), &selection, &app.fleet, app.now) {
        Ok(plan) => plan,
        Err(error) => return app.show_notice(Tone::Warn, error.to_string()),
    };
    let left_out: Vec<_> = plan.left_out.iter().map(|(host, reason)| reason.advice(host)).collect();
    let names: Vec<_> = plan.hosts().into_keys().map(ToString::to_string).collect();
    if names.is_empty() {
        let reasons = if left_out.is_empty() { "no host replies".to_owned() } else { left_out.join("; ") };
        return app.show_notice(Tone::Warn, format!("{reasons}; nothing was sent"));
    }
    let left_out: Vec<_> = left_out.iter().map(|reason| format!(" {reason}.")).collect();
    let text = format!(
        "Cancel {jobs} on {}? Jobs that have started to activate continue.{note}{}",
        names.join(", "),
        left_out.concat()
    );
    app.overlay = Some(Overlay::Confirm(Box::new(ConfirmDialog { text, plan, yes: false })));
}

pub(super) fn act_on_filter(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let (_, before) = app.filter_input.take()?;
    app.filter_error = None;
    if command == KeyCommand::Back {
        app.table.filter = before;
        app.table.invalidate();
    }
    None
}

/// Applies the typed filter. An invalid filter changes nothing and shows the reason.
pub(super) fn apply_filter(app: &mut App) {
    let Some((input, _)) = &app.filter_input else { return };
    match Filter::parse(input.value()) {
        Ok(filter) => {
            (app.table.filter, app.filter_error) = (filter, None);
            app.table.invalidate();
        }
        Err(reason) => app.filter_error = Some(reason),
    }
}
