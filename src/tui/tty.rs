//! The terminal: taken for as long as the console shows, and given back in every case.

use super::{App, Event, Fault, view};
use crate::bus::is_connection_panic;
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
use std::io::{self, Stdout, stdout};
use std::mem::ManuallyDrop;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tokio::sync::mpsc;

/// The terminal while it is ours. Dropping this gives it back.
pub(super) struct Tty {
    /// Never dropped: it would complain where it cannot show the cursor any more, and panic where nobody hears that.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    /// Whether the terminal tells of the mouse.
    mouse: bool,
}

impl Tty {
    pub(super) fn take() -> io::Result<Self> {
        let tty = Self {
            terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(stdout()))?),
            mouse: false,
        };
        enter()?;
        Ok(tty)
    }

    pub(super) fn size(&self) -> io::Result<Size> {
        self.terminal.size()
    }

    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.terminal.draw(|frame| view(app, frame)).map(|_| ())
    }

    /// The next frame is drawn as if nothing were on the screen.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        // Not `clear`: that asks the terminal where its cursor is, and waits for an answer among the keys.
        let size = self.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Lets the terminal tell of the mouse, or keep it for itself.
    pub(super) fn mouse(&mut self, wanted: bool) {
        if wanted == self.mouse {
            return;
        }
        self.mouse = wanted;
        // A terminal without a mouse is as good.
        let _ = if wanted {
            execute!(stdout(), EnableMouseCapture)
        } else {
            execute!(stdout(), DisableMouseCapture)
        };
    }

    /// Hands a text to the terminal's clipboard; one that knows no OSC 52 does nothing.
    pub(super) fn copy(text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Takes the terminal back after somebody else had it.
    pub(super) fn retake(&mut self) -> io::Result<()> {
        // Whoever stopped us without asking has changed modes that would be taken for still being ours.
        let _ = disable_raw_mode();
        self.mouse = false;
        enter()?;
        self.forget()
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        leave();
    }
}

/// Whether the terminal is ours. Given back twice, the cursor would jump to where it was when we came.
static OURS: AtomicBool = AtomicBool::new(false);

fn enter() -> io::Result<()> {
    OURS.store(true, Ordering::Relaxed);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste)
}

/// Gives the terminal back. Each step for itself: where one fails the others still count.
pub(super) fn leave() {
    if !OURS.swap(false, Ordering::Relaxed) {
        return;
    }
    let _ = execute!(stdout(), DisableMouseCapture);
    let _ = execute!(stdout(), DisableBracketedPaste);
    let _ = execute!(stdout(), LeaveAlternateScreen);
    let _ = execute!(stdout(), Show);
    let _ = disable_raw_mode();
}

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// While this lives, a panic of the console itself gives the terminal back before it is told, and one of a task in the
/// background becomes an error box.
pub(super) struct PanicGuard {
    before: Hook,
}

impl PanicGuard {
    pub(super) fn set(told: mpsc::Sender<Event>) -> Self {
        let before: Hook = Arc::from(panic::take_hook());
        let console = thread::current().id();
        let tell = before.clone();
        panic::set_hook(Box::new(move |info| {
            // The bus makes a new connection, and the header shows that.
            if is_connection_panic(info) {
                return tell(info);
            }
            // The console is what this thread was first given to do; tasks have an id, wherever they run.
            if thread::current().id() == console && tokio::task::try_id().is_none() {
                leave();
                tell(info);
            } else {
                let text = format!(
                    "{info}\nThe console goes on; what failed is missing from it. Please report this."
                );
                // Where so many panic that there is no room, the first ones tell enough.
                let _ = told
                    .try_send(Event::Fault(Fault { title: "A fault in the background".to_owned(), text }));
            }
        }));
        Self { before }
    }
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        // Hooks cannot be changed by whoever is panicking.
        if !thread::panicking() {
            let before = self.before.clone();
            panic::set_hook(Box::new(move |info| before(info)));
        }
    }
}
