//! Takes credentials out of texts that people read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The text without the `user:password@` of any URL in it. The bare user of an ssh URL stays: it is a name there,
/// while `https://TOKEN@host` is a secret.
pub fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let end = after.find(ends_authority).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        out.push_str(before);
        out.push_str(match authority.rsplit_once('@') {
            Some((user, _)) if before.ends_with("ssh://") && !user.contains(':') => authority,
            Some((_, host)) => host,
            None => authority,
        });
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn ends_authority(c: char) -> bool {
    c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"' | '`' | '<' | '>')
}

/// The text with the values of a URL's parameter as `blot` writes them, however they are encoded there.
pub(super) fn with_blotted(text: &str, parameter: &str, blot: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&']) {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        rest = after;
        if let Some(value) = rest.strip_prefix(parameter).and_then(|rest| rest.strip_prefix('=')) {
            let end = value.find(ends_value).unwrap_or(value.len());
            out.push_str(&rest[..=parameter.len()]);
            out.push_str(&blot(&value[..end]));
            rest = &value[end..];
        }
    }
    out.push_str(rest);
    out
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | '#' | '\'' | '"' | '`' | '<' | '>')
}

/// What stands as it is in the user or the password of a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// `%40` as `@` and so on; what is not encoded stays as it is.
pub fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A ref as it stands in the query of a URL.
pub(super) fn ref_encoded(reference: &str) -> String {
    const REF: &AsciiSet = &PLAIN.remove(b'/');
    utf8_percent_encode(reference, REF).to_string()
}

/// A path of the file system as it stands in a URL.
pub(super) fn path_encoded(path: &str) -> String {
    const PATH: &AsciiSet =
        &PLAIN.remove(b'/').remove(b'+').remove(b'@').remove(b',').remove(b'=').remove(b':');
    utf8_percent_encode(path, PATH).to_string()
}

/// A text as it stands in the user or the password of a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
