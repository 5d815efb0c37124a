//! What an activity of nix is called.

use super::activities::kind;
use crate::nix::secrets::without_userinfo;
use crate::protocol::{fit_start, printable};
use serde_json::Value;

/// The longest description, in bytes.
const MAX_WORDS: usize = 200;
/// What nix shows at its default verbosity and one above; the rest is for debugging nix.
const TALKATIVE: u64 = 4;

/// An activity in words. Of several, the highest rank is told.
#[derive(Debug, Clone)]
pub(super) enum Words {
    /// One of the paths that are copied; told as their number where there are several.
    Copying(String),
    Text(String),
}

/// The rank and words of an activity that starts; nothing where it has none worth telling.
pub(super) fn words(kind: u64, event: &Value) -> Option<(u8, Words)> {
    let field = |at: usize| event["fields"][at].as_str().unwrap_or_default();
    match kind {
        kind::BUILD => {
            let name = store_name(field(0));
            let machine = field(1);
            let place = if machine.is_empty() { String::new() } else { format!(" on {machine}") };
            Some((2, Words::Text(short(&format!("building {name}{place}")))))
        }
        kind::COPY_PATH | kind::SUBSTITUTE => Some((1, Words::Copying(store_name(field(0))))),
        kind::QUERY_PATH_INFO => Some((0, Words::Text(short(&format!("querying {}", field(1)))))),
        _ => {
            let text = event["text"].as_str().filter(|text| !text.is_empty())?;
            let told = event["level"].as_u64().is_none_or(|level| level <= TALKATIVE);
            told.then(|| (0, Words::Text(short(&text.replace('\'', "")))))
        }
    }
}

/// `linux-6.12.9` of `/nix/store/HASH-linux-6.12.9.drv`.
pub(in crate::nix) fn store_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = file.strip_suffix(".drv").unwrap_or(file);
    // The hash is 32 characters.
    let name = file.get(32..).and_then(|rest| rest.strip_prefix('-')).unwrap_or(file);
    short(name)
}

fn short(text: &str) -> String {
    fit_start(&without_userinfo(&printable(text)), MAX_WORDS).to_owned()
}
