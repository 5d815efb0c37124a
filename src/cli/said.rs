//! What is said of a command line that cannot be understood: without the credentials that a URL in it may hold.

use crate::nix::without_userinfo;
use crate::protocol::holds_seed;
use clap::Error;
use clap::error::{ContextKind, ContextValue};

/// The same error without what must not be shown. The reason of a value comes from us and is free of it.
pub(super) fn without_secrets(mut error: Error) -> Error {
    let repeated = [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand];
    for kind in repeated {
        if let Some(ContextValue::String(text)) = error.get(kind) {
            let shown = shown(text);
            error.insert(kind, ContextValue::String(shown));
        }
    }
    error
}

fn shown(text: &str) -> String {
    if holds_seed(text) {
        return "…".to_owned();
    }
    // Whatever is wrong with a URL, its query may hold a token.
    let text = match (text.split_once('?'), text.contains("://")) {
        (Some((before, _)), true) => format!("{before}?…"),
        _ => text.to_owned(),
    };
    let text = without_userinfo(&text);
    match text.rsplit_once('@') {
        Some((before, after)) if before.contains(':') => format!("…@{after}"),
        _ => text,
    }
}
