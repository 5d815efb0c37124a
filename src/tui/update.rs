//! What each event does to the console, and what is to be done outside. Pure: no clock, no I/O.

mod builds_screen;
mod command_line;
mod deployments_screen;
mod dialog;
mod fleet_screen;
mod host_screen;
mod log_screen;
mod mouse;
mod news;

use super::{App, Command, Context, Effect, Event, Overlay, Tone, keys};
use crossterm::event::KeyEvent;
use std::sync::Arc;
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

/// The longest text that is typed or pasted into a field, in characters.
const LONGEST: usize = 200;

/// Folds one event into the console.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Frame => {
            app.settle();
            host_screen::settle(app);
            effects.extend(app.follow_log());
            app.dirty = false;
            return effects;
        }
        Event::Messages(messages, at) => {
            let before = host_screen::sign(app, at);
            news::messages(app, messages, at);
            effects.extend(host_screen::ask_after(app, before, at));
            return effects;
        }
        Event::Key(key) => effects.extend(on_key(app, key)),
        Event::Paste(text) => paste(app, &text),
        Event::Mouse(mouse) => effects.extend(mouse::on_mouse(app, mouse)),
        Event::Resize(size) => app.size = size,
        Event::Clock(now) => {
            app.tick(now);
            effects.extend(app.remember_looks());
            effects.extend(app.look_up_heads());
        }
        Event::Link(link) => effects.extend(news::link(app, link).then(|| host_screen::ask(app)).flatten()),
        Event::RoundTrip(time) => app.round_trip = Some(time),
        Event::Build(id, report, now) => {
            app.fleet.apply_build(&id, Arc::new(*report), now);
        }
        Event::NoBuilds => app.builds_refused = true,
        Event::Refused(refusal) => news::refused(app, &refusal),
        Event::Order(id, order) => news::order(app, &id, order),
        Event::Heads(heads) => {
            app.heads = Some(heads);
            app.counted = false;
            app.table.touch();
        }
        Event::Log(key, log) => news::log(app, &key, log),
        Event::History(host, told) => host_screen::take(app, &host, told),
        Event::Shell(ended) => ended.err().into_iter().for_each(|why| app.say(Tone::Warn, why)),
        Event::WholeLog { key, news, kept } => effects.extend(log_screen::news(app, &key, news, kept)),
        Event::Job(key, report) => log_screen::job(app, &key, report.as_deref()),
        Event::Saved(saved) => log_screen::saved(app, saved),
        Event::Fault(fault) => app.faults.push_back(fault),
    }
    app.dirty = true;
    effects
}

fn on_key(app: &mut App, key: KeyEvent) -> Option<Effect> {
    let context = app.context();
    let Some(command) = keys::command(context, key, app.options.read_only) else {
        type_key(app, key);
        return None;
    };
    match command {
        Command::Leave => return Some(Effect::Quit),
        Command::Suspend => return Some(Effect::Suspend),
        Command::Redraw => return Some(Effect::Redraw),
        _ => {}
    }
    act(app, context, command)
}

fn act(app: &mut App, context: Context, command: Command) -> Option<Effect> {
    // A key acts on what is shown, not on what was shown a moment ago.
    app.settle();
    match context {
        Context::Fleet => fleet_screen::act(app, command),
        Context::Host => host_screen::act(app, command),
        Context::Deployments => deployments_screen::act(app, command),
        Context::Deployment => deployments_screen::act_on_one(app, command),
        Context::Builds => builds_screen::act(app, command),
        Context::Build => builds_screen::act_on_one(app, command),
        Context::Log => log_screen::act(app, command),
        Context::Search => log_screen::act_on_search(app, command),
        Context::Filter => fleet_screen::act_on_filter(app, command),
        Context::Command => command_line::act(app, command),
        Context::Form => dialog::act_on_form(app, command),
        Context::Question => dialog::act_on_question(app, command),
        Context::Help => dialog::act_on_help(app, command),
        Context::Fault => {
            app.faults.pop_front();
            None
        }
    }
}

/// A key that is no command goes into the text field, where there is one.
fn type_key(app: &mut App, key: KeyEvent) {
    edit(app, |input| {
        // Text has an end, what was typed before it has not.
        let full = input.value().chars().count() >= LONGEST;
        let event = crossterm::event::Event::Key(key);
        let adds = matches!(key.code, crossterm::event::KeyCode::Char(_));
        if !(full && adds && key.modifiers.is_empty()) {
            input.handle_event(&event);
        }
    });
}

fn paste(app: &mut App, text: &str) {
    edit(app, |input| {
        let room = LONGEST.saturating_sub(input.value().chars().count());
        for c in text.chars().filter(|c| !c.is_control()).take(room) {
            input.handle(InputRequest::InsertChar(c));
        }
    });
}

/// Changes the text field that keys go to.
fn edit(app: &mut App, change: impl FnOnce(&mut Input)) {
    match (app.context(), &mut app.typing) {
        (Context::Filter, Some((input, _))) => {
            change(input);
            fleet_screen::take_filter(app);
        }
        (Context::Search, _) => log_screen::edit_search(app, change),
        (Context::Command, _) => {
            if let Some(Overlay::Command(line)) = &mut app.overlay {
                change(&mut line.input);
                line.refused = None;
            }
        }
        (Context::Form, _) => {
            let Some(Overlay::Form(mut form)) = app.overlay.take() else { return };
            if let Some(input) = form.input() {
                change(input);
                form.work_out(app);
            }
            app.overlay = Some(Overlay::Form(form));
        }
        _ => {}
    }
}

/// What every screen of a list does with a command that is none of its own.
fn step(app: &mut App, command: Command) {
    match command {
        Command::CommandLine => command_line::open(app),
        Command::Help => app.overlay = Some(Overlay::Help(0)),
        Command::Back => {
            app.screens.pop();
        }
        _ => {}
    }
}
