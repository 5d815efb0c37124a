//! Reads credentials files in the netrc format, as curl and therefore nix understand it.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Maximum size of a file, in bytes.
const MAX_FILE: usize = 1 << 20;
const WRITE: &str = "write `machine HOST login USER password SECRET`";

/// Why a credentials file cannot be used. Messages do not quote its contents.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file could not be opened or read.
    #[error("could not read the credentials file {}: {source}", path.display())]
    Unreadable {
        /// The path of the credentials file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// All users of this machine can read the file.
    #[error("the credentials file {} is readable by all users; run `chmod 600 {}` first", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The file is not in the netrc format.
    #[error("the credentials file {}, line {line}: {reason}; {WRITE}", path.display())]
    Invalid {
        /// The path of the credentials file.
        path: PathBuf,
        /// The line number, from 1.
        line: usize,
        /// What is wrong with the line.
        reason: &'static str,
    },
    /// The file has no entries.
    #[error("the credentials file {} has no machine; {WRITE}", .0.display())]
    Empty(PathBuf),
}

/// An entry: a server with its user and password.
#[derive(Default)]
pub(super) struct NetrcMachine {
    /// `HOST`, or `HOST:PORT`, in lower case.
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: String,
}

/// Reads a file. Returns its absolute path and its entries.
pub(super) fn read(path: &Path) -> Result<(PathBuf, Vec<NetrcMachine>), CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.mode() & 0o004 != 0 {
        return Err(CredentialsError::Exposed(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |line, reason| CredentialsError::Invalid { path: path.to_owned(), line, reason };
    if text.len() > MAX_FILE {
        return Err(wrong(1, "the file is larger than 1 MiB"));
    }
    let machines = machines(&text).map_err(|(line, reason)| wrong(line, reason))?;
    if machines.is_empty() {
        return Err(CredentialsError::Empty(path.to_owned()));
    }
    // An absolute path, because nix runs in another directory.
    Ok((path.canonicalize().map_err(unreadable)?, machines))
}

fn machines(text: &str) -> Result<Vec<NetrcMachine>, (usize, &'static str)> {
    let mut machines: Vec<(usize, NetrcMachine)> = Vec::new();
    let mut words = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if !line.trim_start().starts_with('#') {
            words.extend(
                split_words(line).map_err(|reason| (n + 1, reason))?.into_iter().map(|word| (n + 1, word)),
            );
        }
    }
    let mut words = words.into_iter();
    while let Some((line, word)) = words.next() {
        if word == "default" {
            return Err((line, "`default` would send the password to every server"));
        }
        if word == "macdef" {
            return Err((line, "`macdef` is not supported"));
        }
        let value = words.next().map(|(_, value)| value).ok_or((line, "the last word has no value"))?;
        if word == "machine" {
            let name = value.to_ascii_lowercase();
            if !name.bytes().all(is_machine_byte) || name.is_empty() {
                return Err((
                    line,
                    "invalid machine: expected HOST or HOST:PORT, without a scheme and a path",
                ));
            }
            machines.push((line, NetrcMachine { name, ..NetrcMachine::default() }));
            continue;
        }
        let Some((_, machine)) = machines.last_mut() else {
            return Err((line, "the file must start with `machine`"));
        };
        match word.as_str() {
            "login" => machine.user = value,
            "password" => machine.password = value,
            "account" => {}
            _ => return Err((line, "unexpected word: expected `machine`, `login` or `password`")),
        }
    }
    let missing =
        |(_, machine): &&(usize, NetrcMachine)| machine.user.is_empty() || machine.password.is_empty();
    match machines.iter().find(missing) {
        Some((line, _)) => Err((*line, "the machine lacks a login or a password")),
        None => Ok(machines.into_iter().map(|(_, machine)| machine).collect()),
    }
}

/// Splits a line into words. As in curl, a word in double quotes may contain blanks.
fn split_words(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first == '"' {
            loop {
                match chars.next().ok_or("unclosed quote")? {
                    '"' => break,
                    '\\' => word.extend(chars.next()),
                    c => word.push(c),
                }
            }
        } else {
            word.push(first);
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        if word.chars().any(char::is_control) {
            return Err("unexpected control character");
        }
        words.push(word);
    }
    Ok(words)
}

fn is_machine_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}
