//! Passes the listener's environment to a program in another unit, in a file for systemd. Values may be secret, and
//! command lines and unit properties are not.

use crate::atomic_file::{self, WriteError};
use std::env;
use std::path::{Path, PathBuf};

// Variables that systemd sets for one unit only.
const UNIT_VARIABLES: [&str; 10] = [
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

/// Writes the environment file into a directory, with additional variables. Only its owner can read the file.
pub(super) fn write(dir: &Path, additional: &[(String, String)]) -> Result<PathBuf, WriteError> {
    let path = dir.join("environment");
    let variables =
        env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let lines: String = variables
        .filter(|(name, _)| !UNIT_VARIABLES.contains(&name.as_str()) && !name.starts_with("MEMORY_PRESSURE_"))
        // If a name occurs twice, the last value counts.
        .chain(additional.iter().cloned())
        .map(|(name, value)| line(&name, &value))
        .collect();
    atomic_file::write(&path, lines.as_bytes())?;
    Ok(path)
}

/// Formats an assignment in systemd's syntax.
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
    fn value_keeps_its_quotes_and_is_not_expanded() {
        assert_eq!(line("A", "plain words"), "A=\"plain words\"\n");
        assert_eq!(line("B", "say \"$HOME\" `x` \\ y"), "B=\"say \\\"\\$HOME\\\" \\`x\\` \\\\ y\"\n");
    }
}
