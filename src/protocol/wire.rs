//! Encoding and parsing: the size limit, errors that name the field, and `null` for absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The largest message either side takes, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The largest message that is made here, in bytes: with its headers it still fits into the `max_payload` of a server that
/// takes no more than [`MAX_MESSAGE`].
pub const MAX_ENCODED: usize = MAX_MESSAGE - 1024;

/// Why a message could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Refused before parsing.
    #[error("the message is too large: {0} bytes, at most {MAX_MESSAGE} are read")]
    TooLarge(usize),
    /// Not JSON at all, or not a JSON object.
    #[error("the message is not a JSON object: {0}")]
    NotJson(String),
    /// A field of the wrong type or form.
    #[error("bad field `{path}`: {why}")]
    BadField {
        /// The path of the field.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The JSON of a message.
pub(super) fn to_bytes<T: Serialize>(message: &T) -> Vec<u8> {
    // Our messages are plain structs with text keys: encoding one into memory has no way to fail.
    serde_json::to_vec(message).unwrap_or_default()
}

/// Reads a message, naming the field that is wrong.
pub(super) fn from_bytes<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    check_object(payload)?;
    if let Ok(message) = serde_json::from_slice(payload) {
        return Ok(message);
    }
    // Following the path takes as long again, so only what cannot be read is read that way.
    let mut json = serde_json::Deserializer::from_slice(payload);
    let message = serde_path_to_error::deserialize(&mut json).map_err(explain)?;
    json.end().map_err(|error| WireError::NotJson(error.to_string()))?;
    Ok(message)
}

/// Reads a message out of parsed JSON.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, WireError> {
    serde_path_to_error::deserialize(value).map_err(explain)
}

/// Parses a payload that must be a JSON object.
pub(super) fn object(payload: &[u8]) -> Result<serde_json::Map<String, Value>, WireError> {
    check_object(payload)?;
    serde_json::from_slice(payload).map_err(|error| WireError::NotJson(error.to_string()))
}

/// Checks the size and the first character: without this, a struct could be read from an array too.
fn check_object(payload: &[u8]) -> Result<(), WireError> {
    if payload.len() > MAX_MESSAGE {
        Err(WireError::TooLarge(payload.len()))
    } else if payload.trim_ascii_start().first() != Some(&b'{') {
        Err(WireError::NotJson("it does not start with `{`".to_owned()))
    } else {
        Ok(())
    }
}

fn explain(error: serde_path_to_error::Error<serde_json::Error>) -> WireError {
    let path = error.path().to_string();
    let inner = error.into_inner();
    if path == "." || inner.is_syntax() || inner.is_eof() {
        // A missing field has no path of its own, but its text names it.
        let why = inner.to_string();
        return match why.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => WireError::BadField { path: field.to_owned(), why: "it is missing".to_owned() },
            None => WireError::NotJson(why),
        };
    }
    WireError::BadField { path, why: inner.to_string() }
}

/// For fields that are not options: `null` means the same as absent.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For lists: `null` means the same as absent, and no room is kept for more.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut grown: Vec<T> = null_as_default(deserializer)?;
    // What has grown is given back as a whole, for the next message. Shrinking would leave holes of no use.
    let mut list = Vec::with_capacity(grown.len());
    list.append(&mut grown);
    Ok(list)
}

/// For optional words: an empty text means the same as absent, as base peers send it.
pub(super) fn empty_as_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<String>,
    T::Error: std::fmt::Display,
{
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => T::try_from(text).map(Some).map_err(serde::de::Error::custom),
    }
}
