//! A file of credentials: what curl, and so nix, reads as netrc.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The most that is read of a file, in bytes.
const MAX_FILE: usize = 1 << 20;
const WRITE: &str = "write `machine HOST login USER password SECRET`";

/// Why a credentials file cannot be used. No text repeats what it holds.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It could not be opened or read.
    #[error("could not read the credentials file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Everybody on this machine can read it.
    #[error("the credentials file {} can be read by everybody; run `chmod 600 {}` first", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// It is not in the format of netrc.
    #[error("the credentials file {}, line {line}: {why}; {WRITE}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// It names no server.
    #[error("the credentials file {} names no machine; {WRITE}", .0.display())]
    Empty(PathBuf),
}

/// A server, and who we are there.
#[derive(Default)]
pub(super) struct Machine {
    /// `HOST`, or `HOST:PORT`, in lower case.
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: String,
}

/// Reads a file, and gives its absolute path with all that it holds.
pub(super) fn read(path: &Path) -> Result<(PathBuf, Vec<Machine>), CredentialsError> {
    let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(unreadable)?.mode() & 0o004 != 0 {
        return Err(CredentialsError::Exposed(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let wrong = |line, why| CredentialsError::Wrong { path: path.to_owned(), line, why };
    if text.len() > MAX_FILE {
        return Err(wrong(1, "the file is larger than 1 MiB"));
    }
    let machines = machines(&text).map_err(|(line, why)| wrong(line, why))?;
    if machines.is_empty() {
        return Err(CredentialsError::Empty(path.to_owned()));
    }
    // nix runs elsewhere.
    Ok((path.canonicalize().map_err(unreadable)?, machines))
}

fn machines(text: &str) -> Result<Vec<Machine>, (usize, &'static str)> {
    let mut machines: Vec<(usize, Machine)> = Vec::new();
    let mut words = Vec::new();
    for (n, line) in text.lines().enumerate() {
        if !line.trim_start().starts_with('#') {
            words.extend(words_of(line).map_err(|why| (n + 1, why))?.into_iter().map(|word| (n + 1, word)));
        }
    }
    let mut words = words.into_iter();
    while let Some((line, word)) = words.next() {
        if word == "default" {
            return Err((line, "`default` would give the password to every server"));
        }
        if word == "macdef" {
            return Err((line, "`macdef` is not understood"));
        }
        let value = words.next().map(|(_, value)| value).ok_or((line, "the last word has no value"))?;
        if word == "machine" {
            let name = value.to_ascii_lowercase();
            if !name.bytes().all(is_of_machine) || name.is_empty() {
                return Err((line, "a machine is HOST or HOST:PORT, without a scheme and a path"));
            }
            machines.push((line, Machine { name, ..Machine::default() }));
            continue;
        }
        let Some((_, machine)) = machines.last_mut() else {
            return Err((line, "the file begins with a word other than `machine`"));
        };
        match word.as_str() {
            "login" => machine.user = value,
            "password" => machine.password = value,
            "account" => {}
            _ => return Err((line, "here is a word other than `machine`, `login` and `password`")),
        }
    }
    let missing = |(_, machine): &&(usize, Machine)| machine.user.is_empty() || machine.password.is_empty();
    match machines.iter().find(missing) {
        Some((line, _)) => Err((*line, "the machine lacks a login or a password")),
        None => Ok(machines.into_iter().map(|(_, machine)| machine).collect()),
    }
}

/// The words of a line; one within double quotes may hold blanks, as curl has it.
fn words_of(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut word = String::new();
        if first == '"' {
            loop {
                match chars.next().ok_or("a quote is not closed")? {
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
            return Err("here is a control character");
        }
        words.push(word);
    }
    Ok(words)
}

fn is_of_machine(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}
