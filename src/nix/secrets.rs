//! Takes credentials out of texts that people read.

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

/// `%40` as `@` and so on; what is not encoded stays as it is.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if *byte == b'%' => {
                out.push(code);
                rest = &tail[2..];
            }
            _ => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
