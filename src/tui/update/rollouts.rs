//! Pauses, continues and aborts rollouts of this console and of others, and asks what to do with them on leaving.

use super::dialog::down;
use crate::client::rollout_control;
use crate::nats::PermissionViolation;
use crate::protocol::{Id, RolloutCommand, RolloutState, RolloutStatus};
use crate::text::{format, printable};
use crate::tui::known_deployment::KnownDeployment;
use crate::tui::leave::{LeaveChoice, LeaveDialog};
use crate::tui::rollouts::PendingControl;
use crate::tui::{
    App, Context, Effect, HandoverResult, KeyCommand, Overlay, ResumedRollout, SentDeployment,
    SentDeploymentState, Tone,
};
use jiff::Timestamp;

/// Sends a command to a rollout.
pub(super) fn control(app: &mut App, id: &Id, command: &RolloutCommand) -> Option<Effect> {
    let (text, effect) = match prepare(app, id, command) {
        Ok(effect) => (describe(command).to_owned(), Some(effect)),
        Err(reason) => (reason, None),
    };
    app.show_notice(Tone::Warn, text);
    effect
}

fn describe(command: &RolloutCommand) -> &'static str {
    match command {
        RolloutCommand::Pause => "no further batch is sent until the rollout is continued",
        RolloutCommand::Continue => "the next batch is sent",
        _ => "no further batch is sent; jobs that were sent continue",
    }
}

fn prepare(app: &mut App, id: &Id, command: &RolloutCommand) -> Result<Effect, String> {
    let cancel = app.options.keys.name(Context::Deployment, KeyCommand::Cancel);
    let Some(known) = KnownDeployment::of(app, id) else { return Err("no such deployment".to_owned()) };
    if known.is_lost() {
        let key = app.options.keys.name(Context::Deployment, KeyCommand::Deploy);
        return match command {
            RolloutCommand::Continue if known.can_resume() => match down(app) {
                Some(reason) => Err(reason),
                None => Ok(Effect::ResumeRollout(id.clone())),
            },
            RolloutCommand::Abort => {
                app.rollouts.end(id, format!("aborted by {} after its process had died", app.options.issuer));
                app.running_fresh = false;
                Ok(Effect::DiscardRollout(id.clone()))
            }
            _ => Err(format!("the process that ran this rollout is gone; {key} deploys to the rest")),
        };
    }
    if let Some(rollout) = known.rollout {
        match (&rollout.status.state, command) {
            (RolloutState::Done, _) => return Err("this deployment has no batch left to send".to_owned()),
            (RolloutState::Ended, _) => return Err("this rollout has ended".to_owned()),
            (RolloutState::Running, RolloutCommand::Continue) => {
                return Err("this rollout is not paused".to_owned());
            }
            (RolloutState::Paused | RolloutState::Stopped, RolloutCommand::Pause) => {
                let key = app.options.keys.name(Context::Deployment, KeyCommand::Continue);
                return Err(format!("this rollout is already held back; {key} continues it"));
            }
            _ => {}
        }
    }
    if let Some(sent) = known.sent.filter(|sent| sent.state == SentDeploymentState::Active) {
        return match (sent.has_unsent_batches(), sent.batch()) {
            (true, _) => Ok(Effect::LocalControl(id.clone(), command.clone())),
            (false, Some(_)) => Err("this deployment has no batch left to send".to_owned()),
            (false, None) => {
                Err(format!("this deployment has no batches; {cancel} cancels its running jobs"))
            }
        };
    }
    let Some(rollout) = known.rollout else {
        let denied = app.rollouts.denied.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        return Err(match known.sent.and_then(SentDeployment::batch) {
            Some(_) => "this deployment has no batch left to send".to_owned(),
            None => format!("no process announces batches of it{denied}; {cancel} cancels its running jobs"),
        });
    };
    let control = rollout_control(&rollout.status, command.clone(), &app.options.issuer);
    if let Some(reason) = down(app) {
        return Err(reason);
    }
    app.rollouts.expect_reply(PendingControl {
        id: control.id.clone(),
        rollout: id.clone(),
        command: command.clone(),
        sent_at: app.now,
    });
    Ok(Effect::Control(control))
}

/// Sends a command to the only rollout that has batches left.
pub(super) fn control_the_only(app: &mut App, command: &RolloutCommand) -> Result<Option<Effect>, String> {
    let mut open = KnownDeployment::open_rollouts(app);
    match (open.pop(), open.pop()) {
        (Some(id), None) => Ok(control(app, &id, command)),
        (None, _) => Err("no deployment has batches left to send".to_owned()),
        (Some(_), Some(_)) => {
            let open = app.options.keys.name(Context::Fleet, KeyCommand::Deployments);
            Err(format!("several deployments have batches left to send: open one with {open}"))
        }
    }
}

/// Applies a status, and shows changes that concern this console. A limit that stops a rollout of this console is a
/// notification of the terminal.
pub(super) fn status(app: &mut App, status: RolloutStatus) -> Option<Effect> {
    let id = status.id.clone();
    let before = app.rollouts.get(&id).map(|known| known.status.state.clone());
    let (state, reason) = (status.state.clone(), status.reason.as_deref().map(printable));
    let error = status.answer.as_ref().and_then(|answer| answer.error.as_deref()).map(printable);
    let replied = app.rollouts.apply(status, app.now);
    app.running_fresh = false;
    let title = KnownDeployment::of(app, &id)?.title();
    if let Some(error) = replied.as_ref().and(error) {
        app.show_notice(Tone::Bad, format!("{title}: {error}"));
        return None;
    }
    let is_ours = app.is_ours(&id) || replied.is_some();
    if !is_ours || before.as_ref() == Some(&state) {
        return None;
    }
    let reason = reason.unwrap_or_default();
    match state {
        RolloutState::Paused | RolloutState::Ended => {
            app.show_notice(Tone::Warn, format!("{title}: {reason}"));
        }
        RolloutState::Stopped => {
            let key = |command| app.options.keys.name(Context::Deployment, command);
            let (goes_on, abort) = (key(KeyCommand::Continue), key(KeyCommand::Abort));
            let text = format!("{title}: stopped: {reason}; {goes_on} continues, {abort} aborts");
            app.show_lasting_notice(Tone::Bad, text.clone());
            return Some(Effect::Notify(text));
        }
        RolloutState::Running if before.is_some() => {
            app.show_notice(Tone::Good, format!("{title}: continued"));
        }
        _ => {}
    }
    None
}

/// Reports commands without a reply.
pub(super) fn tick(app: &mut App, now: Timestamp) {
    for pending in app.rollouts.take_unanswered(now) {
        let title = KnownDeployment::of(app, &pending.rollout).map(|known| known.title()).unwrap_or_default();
        let text = format!(
            "{title}: no reply to {}: the process that runs the rollout has ended, or does not accept this key",
            pending.command
        );
        app.show_notice(Tone::Bad, text);
    }
}

/// Shows the rollouts whose process has died.
pub(in crate::tui) fn restore(app: &mut App, interrupted: Vec<RolloutStatus>) {
    let ids: Vec<_> = interrupted.iter().map(|status| status.id.clone()).collect();
    app.rollouts.restore(interrupted);
    let key = app.options.keys.name(Context::Fleet, KeyCommand::Deployments);
    for id in ids {
        let Some(known) = KnownDeployment::of(app, &id) else { continue };
        let unsent = known.rollout.map_or(0, |rollout| rollout.unsent().len());
        let text = format!(
            "{}: interrupted, {} not sent; {key} shows it",
            known.title(),
            format::count(unsent, "host")
        );
        app.show_lasting_notice(Tone::Bad, text);
    }
}

/// Takes over an interrupted rollout, which this console continues, or says why it cannot.
pub(super) fn resumed(app: &mut App, id: &Id, resumed: Result<Box<ResumedRollout>, String>) {
    let title = KnownDeployment::of(app, id).map(|known| known.title()).unwrap_or_default();
    match resumed {
        Ok(resumed) => {
            app.sent_deployments.retain(|sent| sent.plan.id != *id);
            app.record_sent(resumed.plan);
            if let Some(sent) = app.sent_deployments.back_mut() {
                sent.resent = resumed.resent;
            }
            app.show_notice(Tone::Good, format!("{title}: continued by this console"));
        }
        Err(reason) => app.show_error(title, printable(&reason)),
    }
    app.running_fresh = false;
}

/// Remembers that the server denies this key rollouts. The deployment that needs them says so.
pub(super) fn denied(app: &mut App, violation: &PermissionViolation) {
    app.rollouts.denied = Some(printable(&violation.to_string()));
}

/// Leaves the console with this effect, or asks first if batches of this console are not sent.
pub(super) fn leave(app: &mut App, then: Effect) -> Option<Effect> {
    if let Some(Overlay::Leave(dialog)) = &app.overlay {
        // Leaving a second time must lose no batch.
        let can_continue = dialog.choices().contains(&LeaveChoice::Background);
        return if can_continue { choose(app, LeaveChoice::Background) } else { None };
    }
    let unsent = app.unsent_rollouts();
    if unsent.is_empty() {
        return Some(then);
    }
    let of_one = |sent: &SentDeployment| {
        let hosts = format::count(sent.plan.not_started().len(), "host");
        let batches = sent.plan.rollout.batches().len() - sent.plan.rollout.sent_batches();
        let batches = format!("{batches} {}", if batches == 1 { "batch" } else { "batches" });
        format!("{}: {batches} with {hosts} not sent yet", sent.title())
    };
    let text = unsent.into_iter().map(of_one).collect::<Vec<_>>().join("\n");
    let can_continue = app.options.background.is_some();
    app.overlay = Some(Overlay::Leave(Box::new(LeaveDialog::new(text, can_continue, then))));
    None
}

pub(super) fn act_on_leave(app: &mut App, command: KeyCommand) -> Option<Effect> {
    let Some(Overlay::Leave(dialog)) = &mut app.overlay else { return None };
    match command {
        KeyCommand::Left => dialog.turn(false),
        KeyCommand::Right => dialog.turn(true),
        KeyCommand::Accept => {
            let choice = dialog.choice();
            return choose(app, choice);
        }
        KeyCommand::Continue if dialog.choices().contains(&LeaveChoice::Background) => {
            return choose(app, LeaveChoice::Background);
        }
        KeyCommand::Abort => return choose(app, LeaveChoice::Stop),
        KeyCommand::Back => app.overlay = None,
        _ => {}
    }
    None
}

fn choose(app: &mut App, choice: LeaveChoice) -> Option<Effect> {
    let Some(Overlay::Leave(mut dialog)) = app.overlay.take() else { return None };
    match choice {
        LeaveChoice::Stay => None,
        // The runtime stops the rollouts of a console that ends.
        LeaveChoice::Stop => Some(*dialog.then),
        LeaveChoice::Background => {
            if dialog.is_handing_over {
                app.overlay = Some(Overlay::Leave(dialog));
                return None;
            }
            dialog.is_handing_over = true;
            app.overlay = Some(Overlay::Leave(dialog));
            Some(Effect::HandOver)
        }
    }
}

/// Leaves after all rollouts were handed over; otherwise shows why not, and stays.
pub(super) fn handed_over(app: &mut App, results: Vec<(Id, HandoverResult)>) -> Option<Effect> {
    let mut failed = Vec::new();
    for (id, result) in results {
        match result {
            Ok(process) => app.handed_over.push((id, process)),
            Err(reason) => failed.push(reason),
        }
    }
    if let Some(Overlay::Leave(_)) = &app.overlay
        && let Some(Overlay::Leave(dialog)) = app.overlay.take()
    {
        if failed.is_empty() {
            return Some(*dialog.then);
        }
        app.show_error(
            "Not handed over",
            format!("the rollout continues in this console: {}", failed.join("\n")),
        );
    }
    None
}
