//! Applies each event to the state and returns the effects. Pure: no clock, no I/O.

mod builds_screen;
mod changes_screen;
mod command_line;
mod deployments_screen;
mod dialog;
mod events_screen;
mod fleet_screen;
mod heat_map_screen;
mod host_screen;
mod log_screen;
mod logs_screen;
mod messages;
pub(super) mod rollouts;
mod timeline_screen;

use super::{App, ConsoleEvent, Context, Effect, KeyCommand, Overlay, Tone, view};
use crossterm::event::{KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;
use std::sync::Arc;
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

/// Longest text in a field, in characters.
const MAX_INPUT_LEN: usize = 200;
/// The largest count of a movement.
const MAX_COUNT: usize = 999;
/// Number of rows per step of the wheel.
const NOTCH: usize = 3;

/// Applies one event to the console.
pub fn update(app: &mut App, event: ConsoleEvent) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        ConsoleEvent::Frame => {
            app.refresh_cache();
            host_screen::clamp_cursor(app);
            effects.extend(app.follow_log());
            effects.extend(timeline_screen::query_durations(app));
            app.dirty = false;
            return effects;
        }
        ConsoleEvent::Messages(messages, at) => {
            let before = host_screen::history_trigger(app, at);
            if app.connection.up {
                app.record_answer(at);
            }
            messages::apply_all(app, messages, at);
            effects.extend(host_screen::refresh_if_changed(app, before, at));
            return effects;
        }
        ConsoleEvent::Key(key) => {
            for key in split_escape(app, key) {
                effects.extend(on_key(app, key));
            }
        }
        ConsoleEvent::Paste(text) => paste(app, &text),
        ConsoleEvent::Mouse(mouse) => effects.extend(on_mouse(app, mouse)),
        ConsoleEvent::Resize(size) => app.size = size,
        ConsoleEvent::Clock(now) => {
            app.tick(now);
            rollouts::tick(app, now);
            effects.extend(app.save_view_state_if_changed());
            effects.extend(app.save_feed_if_due());
            effects.extend(app.fetch_heads_if_due());
            effects.extend(app.read_commits_if_due());
        }
        ConsoleEvent::Connection(status) => effects
            .extend(messages::connection(app, status).then(|| host_screen::request_history(app)).flatten()),
        ConsoleEvent::RoundTrip(time, at) => {
            // The time itself can wait for the next clock event.
            app.dirty |= app.round_trip.replace(time).is_none();
            app.record_answer(at);
            return effects;
        }
        ConsoleEvent::Build(id, report, now) => {
            app.fleet.apply_build(&id, Arc::new(*report), now);
        }
        ConsoleEvent::BuildsDenied => app.builds_denied = true,
        ConsoleEvent::Rollout(status) => effects.extend(rollouts::status(app, *status)),
        ConsoleEvent::RolloutsDenied(violation) => rollouts::denied(app, &violation),
        ConsoleEvent::Resumed(id, resumed) => rollouts::resumed(app, &id, resumed),
        ConsoleEvent::HandedOver(failed) => effects.extend(rollouts::handed_over(app, failed)),
        ConsoleEvent::PermissionDenied(violation) => messages::permission_denied(app, &violation),
        ConsoleEvent::SentDeployment(id, event) => effects.extend(messages::sent_deployment(app, &id, event)),
        ConsoleEvent::Heads(heads) => effects.extend(app.set_heads(heads)),
        ConsoleEvent::Commits(commits) => {
            if let Some(failure) = app.commits.add(commits) {
                app.show_notice(Tone::Warn, failure);
            }
        }
        ConsoleEvent::RevisionChecked(revision, missing) => {
            effects.extend(dialog::revision_checked(app, &revision, missing));
        }
        ConsoleEvent::Log(key, log) => messages::log(app, &key, log),
        ConsoleEvent::History(host, reply) => host_screen::set_history(app, &host, reply),
        ConsoleEvent::Durations(histories) => {
            for (host, entries) in &histories {
                app.durations.set(host, entries);
                app.feed.add_history(host, entries);
            }
        }
        ConsoleEvent::Shell(ended) => {
            ended.err().into_iter().for_each(|reason| app.show_notice(Tone::Warn, reason));
        }
        ConsoleEvent::FullLog { key, event, stored_len } => {
            effects.extend(log_screen::full_log(app, &key, event, stored_len));
        }
        ConsoleEvent::HostLog(key, event) => logs_screen::apply(app, &key, event),
        ConsoleEvent::Job(key, report) => log_screen::job(app, &key, report.as_deref()),
        ConsoleEvent::Saved(saved) => log_screen::saved(app, saved),
        ConsoleEvent::Error(dialog) => app.error_dialogs.push_back(dialog),
    }
    app.dirty = true;
    effects
}

/// A key with alt is also what a terminal reports if a key follows escape in the same read. If nothing is bound to it, it is
/// these two keys.
fn split_escape(app: &App, key: KeyEvent) -> Vec<KeyEvent> {
    use crossterm::event::KeyCode::{Backspace, Char, Esc, Left, Right};
    let context = app.context();
    let is_bound = app.options.keys.command(context, key, app.options.read_only).is_some();
    // Text fields move and delete by words with these.
    let edits = !context.is_screen() && matches!(key.code, Char('b' | 'f' | 'd') | Backspace | Left | Right);
    if !key.modifiers.contains(KeyModifiers::ALT) || key.code == Esc || is_bound || edits {
        return vec![key];
    }
    let after = KeyEvent { modifiers: key.modifiers.difference(KeyModifiers::ALT), ..key };
    vec![KeyEvent::new(Esc, KeyModifiers::NONE), after]
}

/// A digit on a screen is a part of the count of the next movement; returns whether the key is one.
fn count_digit(app: &mut App, context: Context, key: KeyEvent) -> bool {
    let digit = match key.code {
        crossterm::event::KeyCode::Char(c) if key.modifiers.is_empty() => c.to_digit(10),
        _ => None,
    };
    let Some(digit) = digit.filter(|_| context.is_screen()) else { return false };
    let is_bound = app.options.keys.command(context, key, app.options.read_only).is_some();
    if app.count.is_none() && (digit == 0 || is_bound) {
        return false;
    }
    let digit = usize::try_from(digit).unwrap_or(0);
    app.count = Some((app.count.unwrap_or(0) * 10 + digit).min(MAX_COUNT));
    true
}

fn on_key(app: &mut App, key: KeyEvent) -> Option<Effect> {
    let context = app.context();
    if count_digit(app, context, key) {
        return None;
    }
    let count = app.count.take();
    let Some(command) = app.options.keys.command(context, key, app.options.read_only) else {
        type_key(app, key);
        return None;
    };
    match command {
        KeyCommand::Leave => return rollouts::leave(app, Effect::Quit),
        KeyCommand::Suspend => return Some(Effect::Suspend),
        KeyCommand::Redraw => return Some(Effect::Redraw),
        _ => {}
    }
    match (command, count) {
        // `5G` goes to the fifth line.
        (KeyCommand::Last, Some(count)) => {
            act(app, context, KeyCommand::First);
            repeat(app, context, KeyCommand::Down, count.saturating_sub(1))
        }
        (command, Some(count)) if command.moves() => repeat(app, context, command, count),
        _ => act(app, context, command),
    }
}

fn repeat(app: &mut App, context: Context, command: KeyCommand, count: usize) -> Option<Effect> {
    (0..count).filter_map(|_| act(app, context, command)).last()
}

fn act(app: &mut App, context: Context, command: KeyCommand) -> Option<Effect> {
    // The key acts on the current state, which may be newer than the frame.
    app.refresh_cache();
    if let KeyCommand::HalfPageDown | KeyCommand::HalfPageUp = command {
        let half =
            if context == Context::Help { view::help_page(app.size) } else { view::rows_in_view(app.size) }
                / 2;
        let down = command == KeyCommand::HalfPageDown;
        return repeat(app, context, if down { KeyCommand::Down } else { KeyCommand::Up }, half.max(1));
    }
    match context {
        Context::Fleet => fleet_screen::act(app, command),
        Context::Host => host_screen::act(app, command),
        Context::Deployments => deployments_screen::act(app, command),
        Context::Deployment => deployments_screen::act_on_one(app, command),
        Context::Builds => builds_screen::act(app, command),
        Context::Build => builds_screen::act_on_one(app, command),
        Context::Timeline => timeline_screen::act(app, command),
        Context::HelpSearch => {
            app.help_search.1 = false;
            if command == KeyCommand::Back {
                app.help_search = Default::default();
            }
            None
        }
        Context::ListFilter => {
            app.close_list_filter(command == KeyCommand::Accept);
            None
        }
        Context::Logs => logs_screen::act(app, command),
        Context::LogsFilter => logs_screen::act_on_filter(app, command),
        Context::Changes => changes_screen::act(app, command),
        Context::Events => events_screen::act(app, command),
        Context::HeatMap => heat_map_screen::act(app, command),
        Context::Log => log_screen::act(app, command),
        Context::Search => log_screen::act_on_search(app, command),
        Context::Filter => fleet_screen::act_on_filter(app, command),
        Context::Command => command_line::act(app, command),
        Context::Form => dialog::act_on_form(app, command),
        Context::Confirm => dialog::act_on_confirm_dialog(app, command),
        Context::Leave => rollouts::act_on_leave(app, command),
        Context::Help => dialog::act_on_help(app, command),
        Context::ErrorDialog => {
            app.error_dialogs.pop_front();
            None
        }
    }
}

/// Passes a key without a command to the text field, if there is one.
fn type_key(app: &mut App, key: KeyEvent) {
    edit(app, |input| {
        // A full field ignores more text, but deletions and cursor movements still work.
        let full = input.value().chars().count() >= MAX_INPUT_LEN;
        let event = crossterm::event::Event::Key(key);
        let adds = matches!(key.code, crossterm::event::KeyCode::Char(_));
        if !(full && adds && key.modifiers.is_empty()) {
            input.handle_event(&event);
        }
    });
}

fn paste(app: &mut App, text: &str) {
    edit(app, |input| {
        let available = MAX_INPUT_LEN.saturating_sub(input.value().chars().count());
        for c in text.chars().filter(|c| !c.is_control()).take(available) {
            input.handle(InputRequest::InsertChar(c));
        }
    });
}

/// Changes the text field that receives the keys.
fn edit(app: &mut App, change: impl FnOnce(&mut Input)) {
    match (app.context(), &mut app.filter_input) {
        (Context::Filter, Some((input, _))) => {
            change(input);
            fleet_screen::apply_filter(app);
        }
        (Context::Search, _) => log_screen::edit_search(app, change),
        (Context::HelpSearch, _) => {
            change(&mut app.help_search.0);
            app.overlay = Some(Overlay::Help(0));
        }
        (Context::ListFilter, _) => app.edit_list_filter(change),
        (Context::LogsFilter, _) => logs_screen::edit_filter(app, change),
        (Context::Command, _) => {
            if let Some(Overlay::Command(line)) = &mut app.overlay {
                change(&mut line.input);
                line.error = None;
            }
        }
        (Context::Form, _) => {
            let Some(mut form) = app.take_form() else { return };
            form.focus_confirmation();
            if let Some(input) = form.input() {
                change(input);
                form.update_plan(app);
            }
            app.overlay = Some(Overlay::Form(form));
        }
        _ => {}
    }
}

/// The commands that all list screens share.
fn step(app: &mut App, command: KeyCommand) {
    match command {
        KeyCommand::CommandLine => command_line::open(app),
        KeyCommand::Help => app.overlay = Some(Overlay::Help(0)),
        KeyCommand::Filter => app.open_list_filter(),
        KeyCommand::Sort => app.turn_list_sort(),
        KeyCommand::Reverse => app.reverse_list(),
        KeyCommand::Back if app.clear_list_filter() => {}
        KeyCommand::Back => {
            app.screens.pop();
        }
        _ => {}
    }
}

/// A click selects, the wheel scrolls.
fn on_mouse(app: &mut App, mouse: MouseEvent) -> Option<Effect> {
    let context = app.context();
    match mouse.kind {
        MouseEventKind::ScrollDown => scroll(app, context, KeyCommand::Down),
        MouseEventKind::ScrollUp => scroll(app, context, KeyCommand::Up),
        MouseEventKind::Down(MouseButton::Left) if context == Context::Fleet => {
            app.refresh_cache();
            if let Some(row) = view::row_at(app, Position::new(mouse.column, mouse.row)) {
                app.table.select(row);
            }
            None
        }
        _ => None,
    }
}

/// Scrolls a list. In a text field or a form, the wheel would change the input, so it is ignored.
fn scroll(app: &mut App, context: Context, command: KeyCommand) -> Option<Effect> {
    if matches!(
        context,
        Context::Form
            | Context::Confirm
            | Context::Leave
            | Context::Filter
            | Context::ListFilter
            | Context::LogsFilter
            | Context::ErrorDialog
    ) {
        return None;
    }
    for _ in 0..NOTCH {
        act(app, context, command);
    }
    None
}
