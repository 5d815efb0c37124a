//! The line of the diagnostics that explains a failure best.

use crate::text::{fitting_prefix, printable};

/// The start of the section of one unit in the diagnostics.
const JOURNAL: &str = "-- journal of ";
/// The maximum size of the line, in bytes.
const MAX_CAUSE: usize = 300;
/// Words of a line that states an error, in lower case.
const ERROR_WORDS: [&str; 16] = [
    "emerg",
    "fatal",
    "panic",
    "error",
    "fail",
    "denied",
    "refused",
    "cannot",
    "can't",
    "could not",
    "unable",
    "no such",
    "not found",
    "already in use",
    "invalid",
    "timed out",
];

/// The line of a failed unit's journal that states the error, with the name of its program: the first one with a word
/// such as `failed` that systemd did not write, or else the first one. `None` without a journal.
pub fn journal_cause(diagnostics: &str) -> Option<String> {
    let mut section = None;
    let mut first = None;
    for line in diagnostics.lines() {
        if let Some(unit) = line.strip_prefix(JOURNAL) {
            section = Some(unit.trim_end_matches(".service"));
        } else if line.starts_with("-- ") {
            section = None;
        } else if let Some(unit) = section
            && let Some(message) = message(line, unit)
        {
            let lower = message.to_lowercase();
            if ERROR_WORDS.iter().any(|word| lower.contains(word)) {
                return Some(message);
            }
            first.get_or_insert(message);
        }
    }
    first
}

/// The message of a journal line such as `web1 nginx[291]: nginx: [emerg] bind() failed`; `None` if systemd wrote it.
fn message(line: &str, unit: &str) -> Option<String> {
    let (source, text) = line.split_once("]: ").unwrap_or(("", line));
    let program = source.rsplit(' ').next().unwrap_or_default();
    let program = program.split_once('[').map_or(program, |(program, _)| program);
    let text = printable(text.trim());
    if program == "systemd" || text.is_empty() {
        return None;
    }
    let name = if program.is_empty() { unit } else { program };
    let text = if text.starts_with(name) { text } else { format!("{name}: {text}") };
    Some(fitting_prefix(&text, MAX_CAUSE).to_owned())
}

/// The cause in at most `width` columns, if a short form has that: without a log level, or only the program and the end
/// of the line, which usually names the error. `width_of` measures a text.
pub fn short_cause(cause: &str, width: usize, width_of: impl Fn(&str) -> usize) -> String {
    let without_level =
        |text: &str| match text.split_once('[').map(|(start, rest)| (start, rest.split_once("] "))) {
            Some((start, Some((level, rest)))) if level.chars().all(char::is_alphabetic) => {
                format!("{start}{rest}")
            }
            _ => text.to_owned(),
        };
    if width_of(cause) <= width {
        return cause.to_owned();
    }
    let plain = without_level(cause);
    if width_of(&plain) <= width {
        return plain;
    }
    let end = plain.rsplit(": ").next().unwrap_or_default().trim_end_matches(')');
    match plain.split_once(": ") {
        Some((program, rest)) if rest != end && end.len() > 4 => {
            let (program, short) = (program.trim(), format!("{}: {end}", program.trim()));
            if width_of(&short) <= width || program.is_empty() { short } else { end.to_owned() }
        }
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIAGNOSTICS: &str = "activating the configuration...\nerror: not this line\n-- journal of nginx.service\n\
        web3 systemd[1]: Starting nginx...\nweb3 nginx[2914]: reading the configuration\n\
        web3 nginx[2914]: nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address already in use)\n\
        web3 systemd[1]: Failed to start nginx.\n-- now runs /nix/store/x\n-- 5 MiB are free on /boot";

    #[test]
    fn the_first_error_of_a_journal_that_systemd_did_not_write() {
        let cause = "nginx: [emerg] bind() to 0.0.0.0:9100 failed (98: Address already in use)";
        assert_eq!(journal_cause(DIAGNOSTICS).as_deref(), Some(cause));
        assert_eq!(journal_cause("error: no journal"), None);
        let silent =
            "-- journal of foo.service\nweb3 systemd[1]: foo.service: Failed\nweb3 foo-start[7]: hello";
        assert_eq!(journal_cause(silent).as_deref(), Some("foo-start: hello"));
    }

    #[test]
    fn a_short_cause_keeps_the_program_and_the_error() {
        let cause = journal_cause(DIAGNOSTICS).unwrap_or_default();
        let short = |width| short_cause(&cause, width, str::len);
        assert_eq!(short(80), cause);
        assert_eq!(short(68), "nginx: bind() to 0.0.0.0:9100 failed (98: Address already in use)");
        assert_eq!(short(40), "nginx: Address already in use");
        assert_eq!(short(24), "Address already in use");
        assert_eq!(short_cause("one word", 3, str::len), "one word");
    }
}
