//! Standard output that tolerates a closed pipe: the command continues and its exit code stays correct.

use super::exit::Exit;
use crate::text::is_invisible;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// Output format of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text and tables.
    Human,
    /// One JSON object per line.
    Json,
}

/// JSON form of an event.
#[derive(Serialize)]
struct EventJson<'a, T> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    value: T,
}

/// Writer for standard output.
pub(super) struct Output {
    /// Whether the reader has closed the pipe.
    pub(super) closed: bool,
    /// Whether live lines can be redrawn, which needs a terminal on standard output and standard error.
    pub(super) live: bool,
    /// Whether to use colours: on a terminal, unless `NO_COLOR` is set.
    pub(super) colours: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let terminal = std::io::stdout().is_terminal() && able;
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { closed: false, live: terminal && std::io::stderr().is_terminal(), colours: terminal && !plain }
    }

    /// Prints a line and flushes. Does nothing if the pipe is closed.
    pub(super) fn line(&mut self, text: &str) {
        if !self.closed {
            let mut out = std::io::stdout().lock();
            self.closed = writeln!(out, "{text}").and_then(|()| out.flush()).is_err();
        }
    }

    /// Replaces the current line of a terminal, without a line end.
    pub(super) fn redraw(&mut self, text: &str) {
        if !self.closed {
            let mut out = std::io::stdout().lock();
            self.closed = write!(out, "\r{text}\x1b[K").and_then(|()| out.flush()).is_err();
        }
    }

    /// Prints an object on one line. Control and invisible characters, which occur only in strings, are escaped.
    pub(super) fn json(&mut self, value: &impl Serialize) {
        let mut line = String::new();
        // Serialising our plain structs cannot fail.
        for c in serde_json::to_string(value).unwrap_or_default().chars() {
            if c.is_control() || is_invisible(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            } else {
                line.push(c);
            }
        }
        self.line(&line);
    }

    /// Prints an event as JSON.
    pub(super) fn event(&mut self, event: &str, value: impl Serialize) {
        self.json(&EventJson { event, exit: None, value });
    }

    /// Prints the result of a command as JSON, which is the last line.
    pub(super) fn result(&mut self, exit: Exit, value: impl Serialize) {
        self.json(&EventJson { event: "result", exit: Some(exit.code()), value });
    }
}
