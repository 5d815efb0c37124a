//! Arguments of the listener that a helper process has parsed.
//!
//! The code that parses arguments is spread over a large part of the program. A listener that ran it would keep 1.5 MB
//! of it in memory for months.

use super::NAME;
use super::listener::ListenerArgs;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::ops::Deref;
use std::process::{Command, ExitCode, Stdio};
use std::str::FromStr;

/// The name of the helper command.
const HELPER: &str = "parse-listener-args";

/// An argument with its value, which is passed on as it was typed.
#[derive(Clone)]
pub(super) struct ParsedArg<T> {
    typed: String,
    value: T,
}

impl<T: FromStr> FromStr for ParsedArg<T> {
    type Err = T::Err;

    fn from_str(typed: &str) -> Result<Self, T::Err> {
        Ok(Self { typed: typed.to_owned(), value: typed.parse()? })
    }
}

impl<T> Deref for ParsedArg<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> ParsedArg<T> {
    pub(super) fn into_value(self) -> T {
        self.value
    }
}

/// Without the text, which can contain a password.
impl<T: fmt::Debug> fmt::Debug for ParsedArg<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Serialize for ParsedArg<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.typed)
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for ParsedArg<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Lets a helper process parse the arguments of a listener. `None` if it could not, or if they are not valid: then this
/// process has to parse them, and prints the error.
pub(super) fn parse_in_helper(arguments: &[OsString]) -> Option<ListenerArgs> {
    let program = std::env::current_exe().ok()?;
    let helper = Command::new(program)
        .arg(HELPER)
        .args(arguments.get(1..)?)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    serde_json::from_slice(&helper.stdout).ok().filter(|_| helper.status.success())
}

/// Parses arguments as the helper process; `None` if this process is another one.
pub(super) fn answer_listener(
    arguments: &[OsString],
    parse: impl FnOnce(&[OsString]) -> Option<ListenerArgs>,
) -> Option<ExitCode> {
    let rest = arguments.get(1..).filter(|rest| rest.first().is_some_and(|name| name == HELPER))?;
    let line: Vec<_> = [OsString::from(NAME)].into_iter().chain(rest[1..].iter().cloned()).collect();
    let written = parse(&line)
        .and_then(|args| serde_json::to_vec(&args).ok())
        .is_some_and(|json| std::io::stdout().write_all(&json).is_ok());
    Some(if written { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
