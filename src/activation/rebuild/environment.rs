//! The environment of the listener for a program that runs outside its unit, as a file for systemd: values may be secret, and
//! neither a command line nor the properties of a unit are.

use crate::durable::{self, WriteError};
use std::env;
use std::path::{Path, PathBuf};

/// What systemd says to one unit about itself.
const OF_THE_UNIT: [&str; 10] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "NOTIFY_SOCKET",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// Writes it into a directory, with further variables; only its owner can read the file.
pub(super) fn write(folder: &Path, further: &[(String, String)]) -> Result<PathBuf, WriteError> {
    let path = folder.join("environment");
    let variables =
        env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let lines: String = variables
        .filter(|(name, _)| !OF_THE_UNIT.contains(&name.as_str()) && !name.starts_with("MEMORY_PRESSURE_"))
        // Of two the last counts.
        .chain(further.iter().cloned())
        .map(|(name, value)| line(&name, &value))
        .collect();
    durable::write(&path, lines.as_bytes())?;
    Ok(path)
}

/// An assignment as systemd reads it.
fn line(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push_str("\"\n");
    line
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_value_keeps_its_quotes_and_is_not_expanded() {
        assert_eq!(line("A", "plain words"), "A=\"plain words\"\n");
        assert_eq!(line("B", "say \"$HOME\" `x` \\ y"), "B=\"say \\\"\\$HOME\\\" \\`x\\` \\\\ y\"\n");
    }
}
