//! Keys on the screen of one host.

use super::deployments_screen;
use super::fleet_screen::{ask_to_cancel, deploy};
use crate::tui::{App, Command, Effect, Overlay};

pub(super) fn act(app: &mut App, command: Command) -> Option<Effect> {
    match command {
        Command::Deploy => deploy(app),
        Command::Cancel => ask_to_cancel(app),
        Command::Deployments => deployments_screen::open(app),
        Command::Help => app.overlay = Some(Overlay::Help(0)),
        Command::Back => {
            app.screens.pop();
        }
        _ => {}
    }
    None
}
