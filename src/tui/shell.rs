//! The command that opens a shell on a host, or the journal of one of its units.

use crate::protocol::{Name, printable};

/// How a shell is opened where nobody says it.
const DEFAULT: &str = "ssh {host}";

/// The command for `/bin/sh -c`, or why there is none.
pub(super) fn command(template: Option<&str>, host: &Name, unit: Option<&str>) -> Result<String, String> {
    let host = host.as_str();
    if host.starts_with('-') {
        return Err(format!("{host} would be taken for an option, so no shell is opened there"));
    }
    let template = template.unwrap_or(DEFAULT);
    let fill = |template: &str| template.replace("{host}", host);
    let Some(unit) = unit else { return Ok(fill(template)) };
    // It comes over the wire and goes through two shells.
    let harmless = |c: char| c.is_ascii_alphanumeric() || ":_.@-\\".contains(c);
    if unit.is_empty() || !unit.chars().all(harmless) {
        return Err(format!("{} is no name of a unit, so its journal is not opened", printable(unit)));
    }
    // What systemd escapes has backslashes, which the shell on the host would take away. No other name needs quotes
    // there, where it may be that no shell reads them.
    let unit = if unit.contains('\\') { format!(r"\''{unit}'\'") } else { format!("'{unit}'") };
    // ssh gives a command no terminal of itself, and without one the journal is not shown page by page.
    let template = match template.strip_prefix("ssh ") {
        Some(rest) => format!("ssh -t {rest}"),
        None => template.to_owned(),
    };
    Ok(format!("{} journalctl -b -e -u {unit}", fill(&template)))
}
