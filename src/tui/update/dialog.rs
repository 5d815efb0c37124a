//! Keys in dialogs: forms, the prompt to cancel, and the help.

use super::deployments_screen;
use crate::client::Plan;
use crate::protocol::Revision;
use crate::text::{format, printable};
use crate::tui::form::{Field, Form};
use crate::tui::{App, BatchPreset, Effect, FormKind, KeyCommand, Overlay, TableRow, Tone, view};
use tui_input::Input;

pub(super) fn act_on_form(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let mut form = app.take_form()?;
    match command {
        KeyCommand::Down | KeyCommand::Up => {
            complete(&mut form, app);
            form.move_focus(command == KeyCommand::Down);
        }
        KeyCommand::Left | KeyCommand::Right => {
            let forward = command == KeyCommand::Right;
            move_or_change(&mut form, forward, app);
        }
        KeyCommand::Batches => form.next_batches(app),
        KeyCommand::PageDown | KeyCommand::PageUp => {
            let page = view::form_page(app, &form);
            let last = form.selected_choice().hosts.len().saturating_sub(page);
            let top = form.top.min(last);
            form.top = if command == KeyCommand::PageDown {
                (top + page).min(last)
            } else {
                top.saturating_sub(page)
            };
        }
        KeyCommand::Accept => match form.focus {
            Field::Cancel => {
                app.show_notice(Tone::Plain, "nothing was sent");
                return None;
            }
            _ => {
                complete(&mut form, app);
                if let Some(effect) = check_and_send(&mut form, app) {
                    if matches!(effect, Effect::CheckRevision(..)) {
                        app.overlay = Some(Overlay::Form(form));
                    }
                    return Some(effect);
                }
            }
        },
        _ => return None,
    }
    app.overlay = Some(Overlay::Form(form));
    None
}

/// In a text field, left and right move the cursor; elsewhere they change the choice.
fn move_or_change(form: &mut Form, forward: bool, app: &App) {
    use tui_input::InputRequest::{GoToNextChar, GoToPrevChar};
    if form.turn_batches(forward, app) {
        return;
    }
    let at_end = |input: &Input| input.cursor() >= input.value().chars().count();
    match form.input() {
        Some(input) if !forward => {
            input.handle(GoToPrevChar);
        }
        Some(input) if !at_end(input) => {
            input.handle(GoToNextChar);
        }
        Some(_) => complete(form, app),
        None => form.change(forward, app),
    }
}

/// Completes the revision.
fn complete(form: &mut Form, app: &App) {
    if form.focus == Field::Revision
        && let Some(whole) = form.completion().map(str::to_owned)
    {
        form.revision = Input::new(whole);
        form.update_plan(app);
    }
}

/// Sends the plan. A branch or tag that is not known to exist is looked up first: a mistyped one would fail on every host.
fn check_and_send(form: &mut Form, app: &mut App) -> Option<Effect> {
    form.update_plan(app);
    if let Ok(plan) = &form.plan
        && let Some(revision) = plan.revision_to_pin()
        && !is_known(revision, plan, app)
        && form.is_confirmed()
        && app.connection.up
    {
        let (flakes, revision) = (plan.flakes(), revision.clone());
        form.looked_up = Some(revision.clone());
        return Some(Effect::CheckRevision(flakes, revision));
    }
    send(form, app)
}

/// Whether a revision was seen before, or cannot be looked up.
fn is_known(revision: &Revision, plan: &Plan, app: &App) -> bool {
    let hosts = app.fleet.hosts.values().filter_map(|host| host.answer.as_deref()?.revision.as_deref());
    let is_head = app
        .heads
        .as_ref()
        .is_some_and(|heads| heads.branch == *revision && heads.by_flake.values().any(Result::is_ok));
    plan.flakes().is_empty()
        || plan.named_flakes(&app.fleet).is_err()
        || is_head
        || hosts.into_iter().any(|running| running == revision.as_str())
}

/// Sends the plan of the form whose revision was looked up, or shows that the revision does not exist.
pub(super) fn revision_checked(
    app: &mut App,
    revision: &Revision,
    missing: Option<String>,
) -> Option<Effect> {
    // The form may have been closed since then.
    let mut form = app.take_form()?;
    if form.looked_up.as_ref() == Some(revision) {
        match missing {
            None => {
                if let Some(effect) = send(&mut form, app) {
                    return Some(effect);
                }
            }
            Some(reason) => {
                form.looked_up = None;
                form.focus_revision();
                form.error = Some(format!("{}; nothing was sent", printable(&reason)));
            }
        }
    }
    app.overlay = Some(Overlay::Form(form));
    None
}

/// Sends the plan, or shows in the form why that is not possible.
fn send(form: &mut Form, app: &mut App) -> Option<Effect> {
    // Hosts may have changed since the last key.
    form.update_plan(app);
    if let Some(reason) = down(app) {
        form.error = Some(reason);
        return None;
    }
    let plan = form.confirmed_plan()?;
    let hosts = format::count(plan.hosts().len(), "host");
    let of_what = plan.intent.revision.as_ref().map(|revision| format!(" of {revision}")).unwrap_or_default();
    app.show_sending_notice(plan.id.clone(), format!("sending {}{of_what} to {hosts}", plan.intent.action));
    if form.kind != FormKind::Diff {
        // After a diff, the operator often deploys to the same hosts.
        app.table.marks.clear();
    }
    if form.kind == FormKind::Deploy && plan.hosts().len() > 1 {
        let preset = BatchPreset::of(form.batches.value());
        app.last_batches = preset.map(|preset| preset.options.to_owned()).or(app.last_batches.take());
    }
    show_one_of(&plan, app);
    // The results of a dry run are read host by host.
    let (id, several) = (plan.id.clone(), form.kind != FormKind::Diff && plan.hosts().len() > 1);
    app.record_sent(plan.clone());
    if form.kind == FormKind::Diff && plan.hosts().len() > 1 {
        super::changes_screen::open_for(app, plan.id.clone());
    } else if several {
        deployments_screen::open_one(app, id);
    }
    Some(Effect::Send(Box::new(plan)))
}

/// Selects a host of the plan on the fleet screen, and follows it when its row moves.
fn show_one_of(plan: &Plan, app: &mut App) {
    let hosts = plan.hosts();
    let is_of_plan = |row: &TableRow| row.host().is_some_and(|name| hosts.contains_key(name));
    let is_selected = app.table.selected().is_some_and(is_of_plan);
    let first = || app.table.rows().iter().position(is_of_plan);
    if let Some(row) = is_selected.then(|| app.table.row()).or_else(first) {
        app.table.select(row);
    }
}

/// Why nothing can be sent now; `None` if the server answers.
pub(super) fn down(app: &App) -> Option<String> {
    if !app.connection.up {
        let reason = app.connection.reason.as_deref().unwrap_or("connecting");
        return Some(format!("not connected ({reason}); nothing was sent"));
    }
    app.link.lost_at()?;
    let silence = app.link.silence(app.clock)?;
    Some(format!("the server has not answered for {} s; nothing was sent", silence.as_secs()))
}

pub(super) fn act_on_confirm_dialog(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Overlay::Confirm(mut dialog)) = app.overlay.take() else { return None };
    match command {
        KeyCommand::Left | KeyCommand::Right => {
            dialog.yes = !dialog.yes;
            app.overlay = Some(Overlay::Confirm(dialog));
            return None;
        }
        KeyCommand::Yes => {}
        KeyCommand::Accept if dialog.yes => {}
        _ => return None,
    }
    if let Some(reason) = down(app) {
        app.show_error("Cancel", reason);
        return None;
    }
    app.record_sent(dialog.plan.clone());
    Some(Effect::Send(Box::new(dialog.plan)))
}

pub(super) fn act_on_help(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let page = view::help_page(app.size);
    if command == KeyCommand::Search {
        app.help_search.1 = matches!(app.overlay, Some(Overlay::Help(_)));
        return None;
    }
    let lines = match &app.overlay {
        Some(Overlay::Messages(_)) => view::message_lines(app),
        _ => view::help_lines(app),
    };
    let last = lines.saturating_sub(page);
    let Some(Overlay::Help(top) | Overlay::Messages(top)) = &mut app.overlay else { return None };
    *top = match command {
        KeyCommand::Down => *top + 1,
        KeyCommand::Up => top.saturating_sub(1),
        KeyCommand::PageDown => *top + page,
        KeyCommand::PageUp => top.saturating_sub(page),
        KeyCommand::First => 0,
        KeyCommand::Last => last,
        _ => {
            app.overlay = None;
            app.help_search = Default::default();
            return None;
        }
    }
    .min(last);
    None
}
