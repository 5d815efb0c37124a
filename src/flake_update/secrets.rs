//! What must stand in no text: the token, and the passwords of URLs.

use super::Token;
use crate::nix::{Credentials, without_userinfo};

/// Shorter words are parts of others, and no secrets.
const SHORTEST: usize = 6;

/// Secrets, and what is blotted out with them.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// The token, the passwords and long users of these credentials, and those of these URLs.
    pub(super) fn new(token: Option<&Token>, credentials: &Credentials, urls: &[&str]) -> Self {
        let mut words: Vec<String> = token.map(|token| token.expose().to_owned()).into_iter().collect();
        words.extend(credentials.secrets().map(str::to_owned));
        for url in urls {
            let authority = url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
            let userinfo = authority.and_then(|authority| Some(authority.rsplit_once('@')?.0));
            words.extend(userinfo.into_iter().flat_map(|info| info.split(':')).map(str::to_owned));
        }
        words.retain(|word| word.len() >= SHORTEST);
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self(words)
    }

    /// The text without them.
    pub(super) fn blot(&self, text: &str) -> String {
        self.0.iter().fold(without_userinfo(text), |text, word| text.replace(word, "***"))
    }
}
