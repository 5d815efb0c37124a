//! Keys in what lies over a screen.

use crate::deployer::Plan;
use crate::tui::form::{Field, Form};
use crate::tui::{App, Command, Effect, Overlay, Purpose, Tone, view};
use tui_input::Input;

pub(super) fn act_on_form(app: &mut App, command: Command) -> Option<Effect> {
    let Some(Overlay::Form(mut form)) = app.overlay.take() else { return None };
    match command {
        Command::Down | Command::Up => {
            complete(&mut form, app);
            form.go(command == Command::Down);
        }
        Command::Left | Command::Right => {
            let forward = command == Command::Right;
            move_or_change(&mut form, forward, app);
        }
        Command::PageDown | Command::PageUp => {
            let page = view::form_page(&form, app.size, app.options.theme.symbols());
            let last = form.chosen().hosts.len().saturating_sub(page);
            let top = form.top.min(last);
            form.top =
                if command == Command::PageDown { (top + page).min(last) } else { top.saturating_sub(page) };
        }
        Command::Accept => match form.field {
            Field::Cancel => {
                app.say(Tone::Plain, "nothing was sent");
                return None;
            }
            Field::Send => {
                if let Some(effect) = send(&mut form, app) {
                    return Some(effect);
                }
            }
            _ => {
                complete(&mut form, app);
                form.go(true);
            }
        },
        _ => return None,
    }
    app.overlay = Some(Overlay::Form(form));
    None
}

/// In a text left and right move within it; elsewhere they choose.
fn move_or_change(form: &mut Form, forward: bool, app: &App) {
    use tui_input::InputRequest::{GoToNextChar, GoToPrevChar};
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

/// Takes the completion of the revision.
fn complete(form: &mut Form, app: &App) {
    if form.field == Field::Revision
        && let Some(whole) = form.completion().map(str::to_owned)
    {
        form.revision = Input::new(whole);
        form.work_out(app);
    }
}

/// Sends what the form says, or says in the form why not.
fn send(form: &mut Form, app: &mut App) -> Option<Effect> {
    // Hosts may have come or gone since the last key.
    form.work_out(app);
    if let Some(why) = down(app) {
        form.refused = Some(why);
        return None;
    }
    let plan = form.confirmed()?;
    let hosts = plan.hosts().len();
    let hosts = if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") };
    let of_what = plan.intent.revision.as_ref().map(|revision| format!(" of {revision}")).unwrap_or_default();
    app.say_sending(plan.id.clone(), format!("sending {}{of_what} to {hosts}", plan.intent.action));
    if form.purpose != Purpose::Diff {
        // Whoever has looked at what would change deploys to the same hosts next.
        app.table.marks.clear();
    }
    show_one_of(&plan, app);
    app.remember(plan.clone());
    Some(Effect::Send(Box::new(plan)))
}

/// Selects a host of the plan, where another is selected: it is what one wants to see now.
fn show_one_of(plan: &Plan, app: &mut App) {
    let hosts = plan.hosts();
    if app.table.host().is_none_or(|selected| !hosts.contains_key(selected))
        && let Some(row) =
            app.table.rows().iter().position(|row| row.host().is_some_and(|name| hosts.contains_key(name)))
    {
        app.table.select(row);
    }
}

/// Why nothing can be sent now.
pub(super) fn down(app: &App) -> Option<String> {
    let reason = app.link.reason.as_deref().unwrap_or("connecting");
    (!app.link.up).then(|| format!("not connected ({reason}); nothing was sent"))
}

pub(super) fn act_on_question(app: &mut App, command: Command) -> Option<Effect> {
    let Some(Overlay::Question(mut question)) = app.overlay.take() else { return None };
    match command {
        Command::Left | Command::Right => {
            question.yes = !question.yes;
            app.overlay = Some(Overlay::Question(question));
            return None;
        }
        Command::Yes => {}
        Command::Accept if question.yes => {}
        _ => return None,
    }
    if let Some(why) = down(app) {
        app.fault("Cancel", why);
        return None;
    }
    app.remember(question.plan.clone());
    Some(Effect::Send(Box::new(question.plan)))
}

pub(super) fn act_on_help(app: &mut App, command: Command) -> Option<Effect> {
    let page = view::help_page(app.size);
    let last = view::help_lines(app).saturating_sub(page);
    let Some(Overlay::Help(top)) = &mut app.overlay else { return None };
    *top = match command {
        Command::Down => *top + 1,
        Command::Up => top.saturating_sub(1),
        Command::PageDown => *top + page,
        Command::PageUp => top.saturating_sub(page),
        Command::First => 0,
        Command::Last => last,
        _ => {
            app.overlay = None;
            return None;
        }
    }
    .min(last);
    None
}
