//! The loop: events in, effects out, a frame where something has changed.

use super::interrupts::Interrupts;
use super::lend::lend;
use super::outside::Outside;
use super::tty::{PanicGuard, Tty, leave};
use super::{App, Effect, Event, Memory, Options, update};
use crate::bus::LinkError;
use crate::deployer::Operator;
use crossterm::event::{Event as Input, EventStream};
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use ratatui::layout::Size;
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp, kill_process_group};
use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::task::Poll;
use std::time::Duration;
use tokio::signal::unix::{self as signal, SignalKind};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);
/// How many events are taken before a frame may be drawn.
const BATCH: usize = 64;

/// Why the console ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The terminal.
    #[error("could not use the terminal: {0}")]
    Terminal(#[from] io::Error),
    /// The client library.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// How the console was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// For good.
    Quit,
    /// For the context of this name.
    For(String),
}

/// Shows the console until the operator leaves or `shutdown` says so. The connection may come up later. An interrupt ends
/// it too, but for one that is meant for a program to which the terminal is lent.
///
/// Runs on the thread that called it, outside of any task: so a panic of the console is told from one of its tasks.
pub async fn run(
    operator: Operator,
    options: Options,
    shutdown: CancellationToken,
) -> Result<Left, ConsoleError> {
    let (panicked, mut panics) = mpsc::channel(8);
    let _guard = PanicGuard::set(panicked);
    let mut tty = Tty::take()?;
    let mut app = App::new(options, &operator.roster, tty.size()?, Timestamp::now());
    let memory = app.options.memory.clone();
    if let Some(file) = &memory {
        match Memory::load(file) {
            Ok(looks) => app.recall_looks(looks),
            Err(error) => app.fault("Sort, filter and columns", error.to_string()),
        }
    }
    let (mut outside, mut events) = Outside::begin(operator, memory.clone()).await?;
    let ended = work(&mut tty, &mut app, &mut outside, &mut events, &mut panics, shutdown).await;
    drop(tty);
    if let (Some(file), Some(Effect::Remember(looks))) = (memory, app.remember_looks()) {
        // Whoever leaves has no box to read any more.
        let _ = looks.save(&file);
    }
    outside.end().await;
    match ended {
        Err(ConsoleError::Terminal(error)) if is_closed(&error) => Ok(Left::Quit),
        ended => ended,
    }
}

/// A terminal that was closed has been left. First it fails to be read and written, and then it is no terminal any more.
fn is_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::IO.raw_os_error()) || !io::stdout().is_terminal()
}

/// Takes what comes, until somebody leaves or something fails.
async fn work(
    tty: &mut Tty,
    app: &mut App,
    outside: &mut Outside,
    events: &mut mpsc::Receiver<Event>,
    panics: &mut mpsc::Receiver<Event>,
    shutdown: CancellationToken,
) -> Result<Left, ConsoleError> {
    let mut input = EventStream::new();
    let mut woken = signal::signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut hung_up = signal::signal(SignalKind::hangup())?;
    let mut interrupts = Interrupts::begin()?;
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next_frame = Instant::now();
    loop {
        let mut effects = Vec::new();
        // In this order: a flood of messages holds up neither keys nor frames nor the clock.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(Left::Quit),
            _ = hung_up.recv() => return Ok(Left::Quit),
            () = interrupts.next() => return Ok(Left::Quit),
            key = input.next() => match key {
                Some(Ok(first)) => {
                    effects.extend(take_input(app, first));
                    while let Some(more) = ready(&mut input).await {
                        effects.extend(take_input(app, more));
                    }
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(Left::Quit),
            },
            Some(fault) = panics.recv() => effects.extend(update(app, fault)),
            _ = woken.recv() => {
                tty.retake()?;
                effects.extend(update(app, Event::Resize(tty.size()?)));
            }
            () = sleep_until(next_frame), if app.is_dirty() => {
                effects.extend(update(app, Event::Frame));
                tty.mouse(app.wants_mouse());
                tty.draw(app)?;
                next_frame = Instant::now() + FRAME;
            }
            _ = clock.tick() => {
                outside.tidy();
                effects.extend(update(app, Event::Clock(Timestamp::now())));
            }
            // Never `None`: `outside` holds an end of it.
            Some(event) = events.recv() => {
                effects.extend(update(app, event));
                for _ in 1..BATCH {
                    let Ok(event) = events.try_recv() else { break };
                    effects.extend(update(app, event));
                }
            }
        }
        for effect in &effects {
            match effect {
                Effect::Quit => return Ok(Left::Quit),
                Effect::Switch(context) => return Ok(Left::For(context.clone())),
                _ => {}
            }
        }
        for effect in effects {
            match effect {
                Effect::Copy(text) => Tty::copy(&text)?,
                Effect::Redraw => tty.forget()?,
                Effect::Suspend => {
                    // Whoever has the terminal meanwhile reads its keys.
                    drop(input);
                    suspend(&mut woken).await?;
                    tty.retake()?;
                    input = EventStream::new();
                    update(app, Event::Resize(tty.size()?));
                }
                Effect::Shell(command) => {
                    drop(input);
                    leave();
                    let ended = tokio::select! {
                        ended = lend(&command, app, outside, events) => ended,
                        () = shutdown.cancelled() => return Ok(Left::Quit),
                        _ = hung_up.recv() => return Ok(Left::Quit),
                    };
                    // What was sent there was for that program, and waking it woke us too.
                    interrupts.forget().await;
                    while woken.recv().now_or_never().flatten().is_some() {}
                    tty.retake()?;
                    input = EventStream::new();
                    update(app, Event::Resize(tty.size()?));
                    update(app, Event::Clock(Timestamp::now()));
                    update(app, Event::Shell(ended));
                }
                effect => outside.carry_out(effect),
            }
        }
    }
}

/// What else has come in by now. Looked for as this task and no other: whoever looks is told of the next key.
async fn ready(input: &mut EventStream) -> Option<Input> {
    match poll_fn(|context| Poll::Ready(input.poll_next_unpin(context))).await {
        Poll::Ready(Some(Ok(more))) => Some(more),
        _ => None,
    }
}

fn take_input(app: &mut App, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) => update(app, Event::Key(key)),
        Input::Paste(text) => update(app, Event::Paste(text)),
        Input::Resize(width, height) => update(app, Event::Resize(Size { width, height })),
        Input::Mouse(mouse) => update(app, Event::Mouse(mouse)),
        Input::FocusGained | Input::FocusLost => Vec::new(),
    }
}

/// Gives the terminal back and stops, with everything that was started together with us, until we are woken.
async fn suspend(woken: &mut signal::Signal) -> io::Result<()> {
    leave();
    kill_process_group(getpgrp(), Signal::TSTP)?;
    // Where nobody could wake us again the system does not stop us, and there is no waking to wait for.
    let _ = timeout(Duration::from_millis(200), woken.recv()).await;
    Ok(())
}
