//! Keys on the screen of one host.

mod history;
mod moves;

pub(super) use history::{ask, ask_after, sign, take};
pub(super) use moves::settle;

use super::command_line;
use super::fleet_screen::{ask_to_cancel, copy_names, open_form};
use super::{deployments_screen, log_screen};
use crate::protocol::Name;
use crate::tui::{App, Command, Effect, HostScreen, Overlay, Purpose, Screen, Tone, shell};

/// Opens the screen of a host, and asks it for its past.
pub(super) fn open(app: &mut App, host: Name) -> Effect {
    app.screens.push(Screen::Host(HostScreen::new(host.clone())));
    Effect::History(host)
}

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    settle(app);
    match command {
        Command::Deploy => open_form(app, Purpose::Deploy),
        Command::Rollback => roll_back(app),
        Command::Reboot => open_form(app, Purpose::Reboot),
        Command::Diff => open_form(app, Purpose::Diff),
        Command::Shell => return open_shell(app),
        Command::Cancel => ask_to_cancel(app, app.meant()),
        Command::Copy => return copy_names(app),
        Command::Log => log_screen::open(app),
        Command::CommandLine => command_line::open(app),
        Command::Deployments => deployments_screen::open(app),
        Command::Help => app.overlay = Some(Overlay::Help(0)),
        Command::Back => {
            app.screens.pop();
            // There may be another one below, that was not kept up to date meanwhile.
            return ask(app);
        }
        moves => moves::go(app, moves),
    }
    None
}

/// The screen in front, where it is that of a host.
fn in_front(app: &App) -> Option<&HostScreen> {
    app.screens.last().and_then(Screen::as_host)
}

fn roll_back(app: &mut App) {
    match in_front(app).and_then(HostScreen::entry) {
        None => open_form(app, Purpose::Rollback(None)),
        Some(entry) if entry.generation.is_some() => open_form(app, Purpose::Rollback(entry.generation)),
        Some(_) => app.say(Tone::Warn, "that job made no generation to go back to; select another"),
    }
}

fn open_shell(app: &mut App) -> Option<Effect> {
    let screen = in_front(app)?;
    match shell::command(app.options.shell.as_deref(), &screen.host, screen.unit()) {
        Ok(command) => Some(Effect::Shell(command)),
        Err(why) => {
            app.say(Tone::Warn, why);
            None
        }
    }
}
