//! The event loop: events in, effects out, and a frame if the state has changed.

use super::effects::Runtime;
use super::interrupts::Interrupts;
use super::subprocess::run_in_terminal;
use super::tty::{PanicGuard, Tty, restore_terminal};
use super::{
    App, ConsoleEvent, Effect, EventFeed, Options, SentDeployment, SentDeploymentState, ViewState, update,
};
use crate::client::{DetachedProcess, Operator, Plan, interrupted_rollouts};
use crate::nats::NatsError;
use crate::protocol::Revision;
use crossterm::event::{Event as Input, EventStream};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use ratatui::layout::Size;
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp, getpid, kill_process, kill_process_group};
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{self as signal, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The signal with which the console stops. It handles SIGTSTP to restore the terminal first, so that one no longer stops it;
/// this one has the same default, and also stops no orphaned process group.
const STOP: Signal = Signal::TTOU;
/// Shortest time between two frames.
const FRAME_INTERVAL: Duration = Duration::from_millis(16);
/// Number of events that are applied before a frame may be drawn.
const MAX_EVENTS_PER_FRAME: usize = 64;

/// Why the console failed.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal could not be read or written.
    #[error("could not use the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The NATS client failed.
    #[error(transparent)]
    Nats(#[from] NatsError),
}

/// Why the console ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitReason {
    /// The operator quit, or `shutdown` was cancelled.
    Quit,
    /// The terminal was closed.
    HungUp,
    /// The operator switched to the context of this name.
    SwitchContext(String),
}

/// A rollout with batches that this console did not send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentRollout {
    /// The plan, with the batches that were sent.
    pub plan: Plan,
    /// The process that sends the rest; `None` if nothing more is sent.
    pub continued_by: Option<DetachedProcess>,
}

/// Runs the console until the operator quits, `shutdown` is cancelled or an interrupt arrives. An interrupt for a
/// program that uses the terminal does not count. The connection may be established later.
///
/// Runs on the calling thread and not in a task: this distinguishes a panic of the console from a panic of a task.
pub async fn run(
    operator: Operator,
    options: Options,
    shutdown: CancellationToken,
) -> Result<(ExitReason, Vec<UnsentRollout>), ConsoleError> {
    let (panicked, mut panics) = mpsc::channel(8);
    let _guard = PanicGuard::set(panicked);
    let mut tty = Tty::enter(options.terminal)?;
    let mut app = App::new(options, &operator.inventory, tty.size()?, Timestamp::now());
    let view_state_file = app.options.view_state_file.clone();
    if let Some(file) = &view_state_file {
        match ViewState::load(file) {
            Ok(view_state) => app.restore_view_state(view_state),
            Err(error) => app.show_error("Sort, filter and columns", error.to_string()),
        }
    }
    let feed_file = app.options.feed_file.clone();
    if let Some(file) = &feed_file {
        match EventFeed::load(file) {
            Ok(feed) => app.restore_feed(feed),
            Err(error) => app.show_error("Events", error.to_string()),
        }
    }
    if let Some(directory) = &app.options.rollout_directory {
        let interrupted = interrupted_rollouts(directory, Timestamp::now());
        app.restore_rollouts(interrupted);
    }
    let background = app.options.background.clone();
    let (mut runtime, mut events) =
        Runtime::start(operator, view_state_file.clone(), feed_file.clone(), background).await?;
    let ended = event_loop(&mut tty, &mut app, &mut runtime, &mut events, &mut panics, shutdown).await;
    drop(tty);
    if let (Some(file), Some(Effect::SaveViewState(view_state))) =
        (view_state_file, app.save_view_state_if_changed())
    {
        // The terminal is restored, so no dialog can show an error.
        let _ = view_state.save(&file);
    }
    if let (Some(file), Some(feed)) = (feed_file, app.feed.take_changed()) {
        let _ = feed.save(&file);
    }
    let ended = match ended {
        Err(ConsoleError::Terminal(error)) if is_closed(&error) => Ok(ExitReason::HungUp),
        ended => ended,
    };
    let unsent =
        leave_rollouts(&mut app, &runtime, ended.as_ref().is_ok_and(|ended| *ended == ExitReason::HungUp))
            .await;
    runtime.shutdown().await;
    Ok((ended?, unsent))
}

/// Leaves the rollouts of this console: without a terminal, other processes continue them; otherwise the operator has
/// decided, and what is not handed over is stopped.
async fn leave_rollouts(app: &mut App, runtime: &Runtime, is_hung_up: bool) -> Vec<UnsentRollout> {
    if is_hung_up && !app.unsent_rollouts().is_empty() {
        update(app, ConsoleEvent::HandedOver(runtime.hand_over().await));
    }
    let handed_over: HashMap<_, _> = std::mem::take(&mut app.handed_over).into_iter().collect();
    let process_of = |sent: &SentDeployment| handed_over.get(&sent.plan.id).cloned();
    let mut unsent: Vec<_> = app.unsent_rollouts();
    unsent.extend(app.sent_deployments.iter().filter(|sent| sent.state == SentDeploymentState::HandedOver));
    let mut rollouts = BTreeMap::new();
    for sent in unsent {
        let mut plan = sent.plan.clone();
        // The rest must get the same commit, even if the branch has moved.
        let commit = app.rollouts.get(&plan.id).and_then(|rollout| rollout.status.commit.as_deref());
        let pin = commit.and_then(|commit| Revision::new(commit).ok());
        plan.requests.iter_mut().for_each(|request| request.pin = request.pin.take().or(pin.clone()));
        let rollout = UnsentRollout { plan, continued_by: process_of(sent) };
        rollouts.insert(sent.plan.id.clone(), rollout);
    }
    if rollouts.values().any(|rollout| rollout.continued_by.is_none()) {
        runtime.stop_rollouts().await;
    }
    rollouts.into_values().collect()
}

/// Whether an error means that the terminal was closed. First I/O fails, and then stdout is no longer a terminal.
fn is_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error()) || !io::stdout().is_terminal()
}

/// Handles events until the operator quits or the terminal fails.
async fn event_loop(
    tty: &mut Tty,
    app: &mut App,
    runtime: &mut Runtime,
    events: &mut mpsc::Receiver<ConsoleEvent>,
    panics: &mut mpsc::Receiver<ConsoleEvent>,
    shutdown: CancellationToken,
) -> Result<ExitReason, ConsoleError> {
    let mut input = EventStream::new();
    let mut continued = signal::signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut hung_up = signal::signal(SignalKind::hangup())?;
    let mut stopped = signal::signal(SignalKind::from_raw(Signal::TSTP.as_raw()))?;
    let mut interrupts = Interrupts::listen()?;
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next_frame = Instant::now();
    loop {
        let mut effects = Vec::new();
        // The order matters: a flood of messages must not delay keys, frames or the clock.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(ExitReason::Quit),
            _ = hung_up.recv() => return Ok(ExitReason::HungUp),
            () = interrupts.next() => return Ok(ExitReason::Quit),
            // Another process stops the console.
            _ = stopped.recv() => {
                drop(input);
                stop(&mut continued, || kill_process(getpid(), STOP)).await?;
                tty.reenter()?;
                input = EventStream::new();
                effects.extend(update(app, ConsoleEvent::Resize(tty.size()?)));
            }
            key = input.next() => match key {
                Some(Ok(first)) => {
                    effects.extend(handle_input(app, first));
                    while let Some(more) = next_ready_input(&mut input).await {
                        effects.extend(handle_input(app, more));
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(ExitReason::HungUp),
            },
            Some(fault) = panics.recv() => effects.extend(update(app, fault)),
            _ = continued.recv() => {
                tty.reenter()?;
                effects.extend(update(app, ConsoleEvent::Resize(tty.size()?)));
            }
            () = sleep_until(next_frame), if app.is_dirty() => {
                effects.extend(update(app, ConsoleEvent::Frame));
                tty.capture_mouse(app.captures_mouse());
                tty.draw(app)?;
                next_frame = Instant::now() + FRAME_INTERVAL;
            }
            _ = clock.tick() => {
                runtime.reap_tasks();
                effects.extend(update(app, ConsoleEvent::Clock(Timestamp::now())));
            }
            // Never `None`: `runtime` holds a sender.
            Some(event) = events.recv() => {
                effects.extend(update(app, event));
                for _ in 1..MAX_EVENTS_PER_FRAME {
                    let Ok(event) = events.try_recv() else { break };
                    effects.extend(update(app, event));
                }
            }
        }
        for effect in &effects {
            match effect {
                Effect::Quit => return Ok(ExitReason::Quit),
                Effect::SwitchContext(context) => return Ok(ExitReason::SwitchContext(context.clone())),
                _ => {}
            }
        }
        for effect in effects {
            match effect {
                Effect::Copy(text) => Tty::copy(&text)?,
                Effect::Notify(text) => tty.notify(&text)?,
                Effect::Redraw => tty.force_redraw()?,
                Effect::Suspend => {
                    // Another program reads the terminal in the meantime.
                    drop(input);
                    stop(&mut continued, || kill_process_group(getpgrp(), STOP)).await?;
                    tty.reenter()?;
                    input = EventStream::new();
                    update(app, ConsoleEvent::Resize(tty.size()?));
                }
                Effect::Shell(command) => {
                    drop(input);
                    restore_terminal();
                    let signals = (&mut stopped, &mut hung_up);
                    let program = run_in_terminal(&command, app, runtime, events);
                    let ended = match wait_for_program(program, signals, &shutdown).await {
                        Ok(ended) => ended,
                        Err(reason) => return Ok(reason),
                    };
                    // Signals that arrived here were for that program, and SIGCONT for it also reached the console.
                    interrupts.drain().await;
                    while continued.recv().now_or_never().flatten().is_some() {}
                    while stopped.recv().now_or_never().flatten().is_some() {}
                    tty.reenter()?;
                    input = EventStream::new();
                    update(app, ConsoleEvent::Resize(tty.size()?));
                    update(app, ConsoleEvent::Clock(Timestamp::now()));
                    update(app, ConsoleEvent::Shell(ended));
                }
                effect => runtime.perform(effect),
            }
        }
    }
}

/// Waits for a program that uses the terminal, unless the console must end.
async fn wait_for_program(
    program: impl Future<Output = Result<(), String>>,
    (stopped, hung_up): (&mut signal::Signal, &mut signal::Signal),
    shutdown: &CancellationToken,
) -> Result<Result<(), String>, ExitReason> {
    let mut program = pin!(program);
    loop {
        tokio::select! {
            ended = &mut program => return Ok(ended),
            () = shutdown.cancelled() => return Err(ExitReason::Quit),
            _ = hung_up.recv() => return Err(ExitReason::HungUp),
            // The suspend key of the terminal is meant for the program and the console.
            _ = stopped.recv() => {
                let _ = kill_process(getpid(), STOP);
            }
        }
    }
}

/// The next input that is ready now. Polls in this task, because the stream wakes the task that polled it last.
async fn next_ready_input(input: &mut EventStream) -> Option<Input> {
    match poll_fn(|context| Poll::Ready(input.poll_next_unpin(context))).await {
        Poll::Ready(Some(Ok(more))) => Some(more),
        _ => None,
    }
}

fn handle_input(app: &mut App, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) => update(app, ConsoleEvent::Key(key)),
        Input::Paste(text) => update(app, ConsoleEvent::Paste(text)),
        Input::Resize(width, height) => update(app, ConsoleEvent::Resize(Size { width, height })),
        Input::Mouse(mouse) => update(app, ConsoleEvent::Mouse(mouse)),
        Input::FocusGained | Input::FocusLost => Vec::new(),
    }
}

/// Restores the terminal and stops with this function until a SIGCONT arrives.
async fn stop(continued: &mut signal::Signal, stop: impl FnOnce() -> Result<(), Errno>) -> io::Result<()> {
    restore_terminal();
    stop()?;
    // The system does not stop an orphaned process group, so SIGCONT may never arrive.
    let _ = timeout(Duration::from_millis(200), continued.recv()).await;
    Ok(())
}
