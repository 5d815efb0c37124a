//! Standard output that survives a closed pipe: what runs goes on and the exit code still tells.

use super::exit::Exit;
use crate::protocol::is_invisible;
use clap::ValueEnum;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

/// How a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Human,
    /// For programs: one JSON object a line.
    Json,
}

/// One thing of many that happen, as JSON.
#[derive(Serialize)]
struct Happened<'a, T> {
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit: Option<u8>,
    value: T,
}

/// Standard output.
pub(super) struct Out {
    /// Whether nobody reads it any more.
    pub(super) closed: bool,
    /// Whether lines can be drawn anew on a terminal, which is done through standard error.
    pub(super) live: bool,
    /// Whether colours are wanted.
    pub(super) colours: bool,
}

impl Out {
    pub(super) fn new() -> Self {
        let able = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let terminal = std::io::stdout().is_terminal() && able;
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { closed: false, live: terminal && std::io::stderr().is_terminal(), colours: terminal && !plain }
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) {
        if !self.closed {
            let mut out = std::io::stdout().lock();
            self.closed = writeln!(out, "{text}").and_then(|()| out.flush()).is_err();
        }
    }

    /// Prints an object on a line of its own. What a terminal could act on stands inside texts, and is escaped there.
    pub(super) fn json(&mut self, value: &impl Serialize) {
        let mut line = String::new();
        // Our own plain structs always have a JSON form.
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

    /// Prints what happened as JSON.
    pub(super) fn event(&mut self, event: &str, value: impl Serialize) {
        self.json(&Happened { event, exit: None, value });
    }

    /// Prints how a command ended as JSON, which comes last.
    pub(super) fn result(&mut self, exit: Exit, value: impl Serialize) {
        self.json(&Happened { event: "result", exit: Some(exit.code()), value });
    }
}
