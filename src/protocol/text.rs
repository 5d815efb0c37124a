//! Text that travels: cut to a size as encoded, made harmless to show, and compared with what may have been meant.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The bytes that JSON needs for this character inside a string.
fn encoded_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// The longest start of `text` that needs at most `max` bytes as JSON.
pub fn fit_start(text: &str, max: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += encoded_len(c);
        if used > max {
            return &text[..at];
        }
    }
    text
}

/// The longest end of `text` that needs at most `max` bytes as JSON.
pub fn fit_end(text: &str, max: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += encoded_len(c);
        if used > max {
            return &text[at + c.len_utf8()..];
        }
    }
    text
}

/// The text on one line without anything a terminal could act on: escape sequences and control characters are
/// dropped, tabs and line ends become blanks.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() || is_invisible(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// The same line by line: line ends stay, as `\n` alone.
pub fn printable_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        out.push_str(&printable(line.strip_suffix('\r').unwrap_or(line)));
        out.push_str(end);
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows an escape character (ECMA-48): a control sequence, a string, or one character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_control_sequence(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // A string, up to BEL or ESC \. Bounded, so that an unfinished one cannot swallow a whole log.
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
            // Mostly one character, some with others before it, as in `ESC ( B`.
            while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
            chars.next_if(|c| ('0'..='~').contains(c));
        }
    }
}

/// Skips parameters and the final character. A sequence that is broken off swallows no text.
fn skip_control_sequence(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Whether a person sees nothing of this character, or it reorders or hides what is around it, though a program and a model
/// read it: format characters (general category Cf), all that Unicode calls `Default_Ignorable_Code_Point`, and the separators
/// of lines and paragraphs. Joined emoji and emoji variations lose their joiner too: each part stays readable.
pub fn is_invisible(c: char) -> bool {
    // The first of them is the soft hyphen; most text lies below it.
    c >= '\u{ad}'
        && (CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
            || matches!(
                CodePointMapData::<GeneralCategory>::new().get(c),
                GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
            ))
}

/// Whether a word on the line looks like an nkey seed of any kind, whole or with a few characters lost.
pub fn holds_seed(line: &str) -> bool {
    let base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
    line.split(|c: char| !base32(c)).any(|word| word.len() > 48 && word.starts_with('S'))
}

/// The word as a shell reads it back.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The known words that look most like `word`, at most three, the likeliest first.
pub fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let with_distance = |known: &'a str| (strsim::damerau_levenshtein(word, known), known);
    let mut near: Vec<_> = known.into_iter().map(with_distance).collect();
    near.retain(|(distance, known)| *distance <= 1 + known.len() / 3);
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, known)| known).collect()
}
