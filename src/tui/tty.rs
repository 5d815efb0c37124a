//! The terminal: set up while the console is shown, and restored in every case.

use super::{App, ConsoleEvent, ErrorDialog, TerminalFeatures, TerminalStatus, terminal_status, view};
use crate::nats::is_connection_panic;
use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Position, Rect, Size};
use std::io::{self, Stdout, Write, stdout};
use std::mem::ManuallyDrop;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::sync::mpsc;

/// The terminal while the console uses it. Restored when this is dropped.
pub(super) struct Tty {
    /// Never dropped: ratatui prints an error if it cannot show the cursor, and panics if that fails too.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// Whether the terminal reports the mouse.
    mouse: bool,
    features: TerminalFeatures,
    /// What the terminal shows beside the frame.
    status: TerminalStatus,
}

impl Tty {
    pub(super) fn enter(features: TerminalFeatures) -> io::Result<Self> {
        let tty = Self {
            terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(stdout()))?),
            mouse: false,
            features,
            status: TerminalStatus::default(),
        };
        HAS_TITLE.store(features.title, Ordering::Relaxed);
        HAS_PROGRESS.store(features.progress, Ordering::Relaxed);
        enter_raw_mode()?;
        Ok(tty)
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.terminal.draw(|frame| view(app, frame))?;
        let status = TerminalStatus::of(app);
        if status != self.status {
            status.write(&self.status, self.features, &mut stdout())?;
            self.status = status;
        }
        Ok(())
    }

    /// Tells the operator, who may look at another window, that a deployment has ended.
    pub(super) fn notify(&self, text: &str) -> io::Result<()> {
        terminal_status::notify(text, self.features, &mut stdout())
    }

    /// Makes the next frame redraw every cell.
    pub(super) fn force_redraw(&mut self) -> io::Result<()> {
        // `clear` would query the cursor position and wait for the reply among the keys.
        let size = self.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Starts or stops mouse reports of the terminal.
    pub(super) fn capture_mouse(&mut self, is_wanted: bool) {
        if is_wanted == self.mouse {
            return;
        }
        self.mouse = is_wanted;
        // The console also works without a mouse.
        let _ = if is_wanted {
            execute!(stdout(), EnableMouseCapture)
        } else {
            execute!(stdout(), DisableMouseCapture)
        };
    }

    /// Copies a text to the clipboard; a terminal without OSC 52 ignores it.
    pub(super) fn copy(text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Sets up the terminal again after another program used it.
    pub(super) fn reenter(&mut self) -> io::Result<()> {
        // After a SIGSTOP the modes have changed, but crossterm believes that raw mode is still on.
        let _ = disable_raw_mode();
        (self.mouse, self.status) = (false, TerminalStatus::default());
        enter_raw_mode()?;
        self.force_redraw()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Whether the terminal is set up. Restoring it twice would move the cursor to its position before the console.
static IS_ACTIVE: AtomicBool = AtomicBool::new(false);

/// Whether the title and the progress must be restored.
static HAS_TITLE: AtomicBool = AtomicBool::new(false);
static HAS_PROGRESS: AtomicBool = AtomicBool::new(false);

fn enter_raw_mode() -> io::Result<()> {
    IS_ACTIVE.store(true, Ordering::Relaxed);
    enable_raw_mode()?;
    if HAS_TITLE.load(Ordering::Relaxed) {
        // Saves the title.
        write!(stdout(), "\u{1b}[22;2t")?;
    }
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Restores the terminal. Each step is independent: if one fails, the others still run.
pub(super) fn restore_terminal() {
    if !IS_ACTIVE.swap(false, Ordering::Relaxed) {
        return;
    }
    if HAS_PROGRESS.load(Ordering::Relaxed) {
        let _ = write!(stdout(), "\u{1b}]9;4;0;0\u{7}");
    }
    if HAS_TITLE.load(Ordering::Relaxed) {
        let _ = write!(stdout(), "\u{1b}[23;2t");
    }
    let _ = execute!(stdout(), DisableMouseCapture);
    let _ = execute!(stdout(), DisableBracketedPaste);
    let _ = execute!(stdout(), LeaveAlternateScreen);
    let _ = execute!(stdout(), Show);
    let _ = disable_raw_mode();
}

type PanicHook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// While this exists, a panic of the console restores the terminal before the panic message, and a panic of a
/// background task becomes an error dialog.
pub(super) struct PanicGuard {
    before: PanicHook,
}

impl PanicGuard {
    pub(super) fn set(events: mpsc::Sender<ConsoleEvent>) -> Self {
        let before: PanicHook = Arc::from(panic::take_hook());
        let console = thread::current().id();
        let report_panic = before.clone();
        panic::set_hook(Box::new(move |info| {
            // The NATS client reconnects, and the header shows that.
            if is_connection_panic(info) {
                return report_panic(info);
            }
            // The console runs on this thread and outside of any task; tasks have an id.
            if thread::current().id() == console && tokio::task::try_id().is_none() {
                restore_terminal();
                report_panic(info);
            } else {
                let text = format!("{info}\nThe console continues without this task. Please report this.");
                // If the channel is full, the first panics are enough.
                let _ = events.try_send(ConsoleEvent::Error(ErrorDialog {
                    title: "A background task failed".to_owned(),
                    text,
                }));
            }
        }));
        Self { before }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        // A panicking thread cannot change the hook.
        if !thread::panicking() {
            let before = self.before.clone();
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}
