//! Text: truncation by encoded size, safe printing, quoting, and suggestions for misspelled words.

pub mod format;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Borrow;
use std::str::Chars;

/// The number of bytes of this character inside a JSON string.
fn encoded_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// The longest prefix of `text` that needs at most `max` bytes as JSON.
pub fn fitting_prefix(text: &str, max: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += encoded_len(c);
        if used > max {
            return &text[..at];
        }
    }
    text
}

/// The longest suffix of `text` that needs at most `max` bytes as JSON.
pub fn fitting_suffix(text: &str, max: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += encoded_len(c);
        if used > max {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// Makes text safe to print on one line: escape sequences and control characters are removed, tabs and line ends become
/// spaces.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        // Nearly all text consists of these characters.
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
        let plain = rest.bytes().position(|byte| !is_plain(&byte)).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return out };
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
        rest = chars.as_str();
    }
}

/// Makes text safe to print, line by line. Line ends become ` `.
pub fn printable_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        out.push_str(&printable(line.strip_suffix('\r').unwrap_or(line)));
        out.push_str(end);
    }
    out
}

/// Skips the next character if it is wanted; returns whether it was.
fn skip_if(chars: &mut Chars<'_>, is_wanted: impl Fn(char) -> bool) -> bool {
    let mut after = chars.clone();
    let is_skipped = after.next().is_some_and(is_wanted);
    if is_skipped {
        *chars = after;
    }
    is_skipped
}

/// Skips what follows an escape character (ECMA-48): a control sequence, a string, or one character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.clone().next() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // A string ends with BEL or ESC \. The limit keeps an unterminated one from hiding a whole log.
            for _ in 0..4096 {
                match chars.next() {
                    None | Some('\u{7}' | '\u{9c}') => break,
                    Some('\u{1b}') => {
                        chars.next();
                        break;
                    }
                    Some(_) => {}
                }
            }
        }
        _ => {
            // Usually one character, sometimes after intermediate characters, as in `ESC ( B`.
            while skip_if(chars, |c| (' '..='/').contains(&c)) {}
            skip_if(chars, |c| ('0'..='~').contains(&c));
        }
    }
}

/// Skips the parameters and the final character. An incomplete sequence hides no text.
fn skip_control_sequence(chars: &mut Chars<'_>) {
    while skip_if(chars, |c| (' '..='?').contains(&c)) {}
    skip_if(chars, |c| ('@'..='~').contains(&c));
}

/// Whether a character is invisible, or reorders or hides the text around it, although programs and language models
/// read it: format characters (general category Cf), `Default_Ignorable_Code_Point`, and line and paragraph separators.
/// Emoji sequences lose their joiners too; each part stays readable.
pub fn is_invisible(c: char) -> bool {
    // The soft hyphen is the first such character; most text is below it.
    c >= '\u{ad}'
        && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || matches!(
                CodePointMapData::<GeneralCategory>::new().get(c),
                GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            ))
}

/// Whether the line contains something that looks like an nkey seed of any kind, complete or with a few characters
/// missing.
pub fn holds_seed(line: &str) -> bool {
    let base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    line.split(|c: char| !base32(c)).any(|word| word.len() > 48 && word.starts_with('S'))
}

/// Quotes a word for the shell if necessary.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The known words closest to `word`, at most three, closest first. Case does not count.
pub fn closest_matches<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let with_distance = |known: &'a str| (strsim::damerau_levenshtein(&word, &known.to_lowercase()), known);
    let mut closest_matches: Vec<_> = known.into_iter().map(with_distance).collect();
    closest_matches.retain(|(distance, known)| *distance <= 1 + known.len() / 3);
    closest_matches.sort_unstable();
    closest_matches.dedup();
    closest_matches.into_iter().take(3).map(|(_, known)| known).collect()
}

/// A suggestion in parentheses; empty if there are no names.
pub fn did_you_mean(names: &[impl Borrow<str>]) -> String {
    if names.is_empty() { String::new() } else { format!(" (did you mean {}?)", names.join(", ")) }
}

/// The last `count` items, or all if there are fewer.
pub fn last<T>(items: &[T], count: usize) -> &[T] {
    &items[items.len().saturating_sub(count)..]
}
