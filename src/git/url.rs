//! The parts of URLs, their percent-encoding, and the removal of credentials from messages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::cmp::Reverse;

/// Words that no message may contain, each with its replacement. Longest first, because one may be part of another.
#[derive(Default)]
pub struct Secrets(Vec<(String, String)>);

impl FromIterator<(String, String)> for Secrets {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(words: T) -> Self {
        let mut words: Vec<_> = words.into_iter().filter(|(word, _)| !word.is_empty()).collect();
        words.sort_unstable_by_key(|(word, _)| Reverse(word.len()));
        Self(words)
    }
}

impl Secrets {
    /// Replaces the words in a message, and removes the `user:password@` of all URLs.
    pub fn redact(&self, text: &str) -> String {
        self.0.iter().fold(without_userinfo(text), |text, (word, shown)| text.replace(word, shown))
    }

    /// Masks the words in a log. The length does not change, so offsets stay valid.
    pub fn mask(&self, text: &str) -> String {
        let masked = |text: String, (word, _): &(String, String)| text.replace(word, &"*".repeat(word.len()));
        self.0.iter().fold(text.to_owned(), masked)
    }
}

/// The parts of a URL, as written. The crate `url` would change them, for example drop a default port, but nix and git must get a URL
/// as its owner wrote it.
#[derive(Debug, Clone, Copy)]
pub struct UrlParts<'a> {
    /// The part before `://`.
    pub scheme: &'a str,
    /// The part before the last `@` of the authority.
    pub userinfo: Option<&'a str>,
    /// `HOST` or `HOST:PORT`.
    pub host: &'a str,
    /// The rest, from the first `/` on.
    pub path: &'a str,
}

impl<'a> UrlParts<'a> {
    /// Splits a URL; `None` if it has no `://`.
    pub fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        Some(Self { scheme, userinfo, host, path })
    }

    /// `SCHEME://HOST[:PORT]`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.host)
    }
}

/// Removes the `user:password@` of all URLs in a text. The user of an ssh URL without a password stays because it is only a name,
/// but the user in `https://TOKEN@host` is a secret.
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

/// Replaces all values of a URL parameter in a text with the result of `mask`, for any encoding of the values.
pub fn redact_parameter(text: &str, parameter: &str, mask: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&']) {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        rest = after;
        if let Some(value) = rest.strip_prefix(parameter).and_then(|rest| rest.strip_prefix('=')) {
            let end = value.find(ends_value).unwrap_or(value.len());
            out.push_str(&rest[..=parameter.len()]);
            out.push_str(&mask(&value[..end]));
            rest = &value[end..];
        }
    }
    out.push_str(rest);
    out
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, '&' | '#' | '\'' | '"' | '`' | '<' | '>')
}

/// Characters that are not encoded in the user or password of a URL.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes `%40` to `@` and so on. Other text stays unchanged.
pub fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Encodes a ref for the query of a URL.
pub fn ref_encoded(reference: &str) -> String {
    const REF: &AsciiSet = &PLAIN.remove(b'/');
    utf8_percent_encode(reference, REF).to_string()
}

/// Encodes a file system path for a URL.
pub fn path_encoded(path: &str) -> String {
    const PATH: &AsciiSet =
        &PLAIN.remove(b'/').remove(b'+').remove(b'@').remove(b',').remove(b'=').remove(b':');
    utf8_percent_encode(path, PATH).to_string()
}

/// Encodes text for the user or password of a URL.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
