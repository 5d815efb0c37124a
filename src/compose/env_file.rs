//! The `.env` file of a service: its variables, and its values as secrets.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The minimum length of a value that is redacted, in bytes. A shorter one could be part of any word.
const MIN_SECRET: usize = 6;
/// The permission to read of all users.
const READABLE_BY_ALL: u32 = 0o004;

/// The variables of a `.env` file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EnvFile {
    variables: Vec<(String, String)>,
    /// Whether all users of the host can read it.
    pub is_world_readable: bool,
}

impl EnvFile {
    /// Reads a file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = crate::atomic_file::read(path)?;
        let mode = path.metadata()?.mode();
        Ok(Self {
            is_world_readable: mode & READABLE_BY_ALL != 0,
            ..Self::parse(&String::from_utf8_lossy(&bytes))
        })
    }

    /// Parses the syntax of Compose: `NAME=VALUE` with optional `export` and quotes. Quoted values may span lines.
    pub fn parse(text: &str) -> Self {
        let mut variables = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            let line = line.trim();
            let assignment = line.strip_prefix("export ").unwrap_or(line).trim_start();
            if assignment.starts_with('#') {
                continue;
            }
            let Some((name, value)) = assignment.split_once(['=', ':']) else { continue };
            let value = value.trim();
            let quote = value.chars().next().filter(|first| ['"', '\''].contains(first));
            let value = match quote {
                Some(quote) => {
                    let mut value = value[1..].to_owned();
                    while find_quote(&value, quote).is_none() && !rest.is_empty() {
                        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
                        value = format!("{value}\n{line}");
                        rest = after;
                    }
                    let end = find_quote(&value, quote).unwrap_or(value.len());
                    value.truncate(end);
                    if quote == '"' { unescape(&value) } else { value }
                }
                None => value.split(" #").next().unwrap_or_default().trim_end().to_owned(),
            };
            variables.push((name.trim().to_owned(), value));
        }
        Self { variables, is_world_readable: false }
    }

    /// The variables, in the order of the file.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The values to redact, each in the forms that messages may show, with its replacement.
    pub fn redactions(&self) -> impl Iterator<Item = (String, String)> {
        let values = self.variables.iter().flat_map(|(_, value)| {
            // A value of several lines appears line by line in a log.
            let lines = value.lines().map(|line| line.trim().to_owned());
            let escaped = value.escape_default().to_string();
            let json = serde_json::to_string(value).unwrap_or_default();
            let json = json.trim_matches('"').to_owned();
            [value.clone(), escaped, json].into_iter().chain(lines)
        });
        values.filter(|value| value.len() >= MIN_SECRET).map(|value| (value, "***".to_owned()))
    }
}

fn find_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            (_, Some('n')) => out.push('\n'),
            (_, Some('t')) => out.push('\t'),
            (_, Some('r')) => out.push('\r'),
            (_, Some(other)) => out.push(other),
            (c, None) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::EnvFile;

    #[test]
    fn quotes_comments_and_lines_are_parsed() {
        let text = "# a comment\nA=plain # note\nexport B=\"two\\nlines \\\"x\\\"\" # note\nC='single #1'\nD=\nE=\"first\nsecond\"\nF=a=b\n";
        let file = EnvFile::parse(text);
        let all: Vec<_> =
            file.variables().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            all,
            [
                ("A", "plain"),
                ("B", "two\nlines \"x\""),
                ("C", "single #1"),
                ("D", ""),
                ("E", "first\nsecond"),
                ("F", "a=b"),
            ]
        );
    }

    #[test]
    fn values_of_six_characters_and_more_are_redacted_in_each_form() {
        let secrets: Vec<_> =
            EnvFile::parse("A=short\nB=\"ab\\ncdefghi\"\n").redactions().map(|(value, _)| value).collect();
        assert!(
            secrets.contains(&"ab\ncdefghi".to_owned()) && secrets.contains(&"cdefghi".to_owned()),
            "{secrets:?}"
        );
        assert!(secrets.contains(&"ab\\ncdefghi".to_owned()), "{secrets:?}");
        assert!(!secrets.contains(&"short".to_owned()));
    }
}
