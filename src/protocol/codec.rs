//! Encoding and parsing: the size limit, errors that name the field, and `null` as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The maximum size of a message that is accepted, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The maximum size of a message that is sent, in bytes. With its headers, it fits into the `max_payload` of a server
/// that is limited to [`MAX_MESSAGE`].
pub const MAX_ENCODED: usize = MAX_MESSAGE - 1024;

/// An error from parsing a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message exceeds the size limit, and is not parsed.
    #[error("the message is too large: {0} bytes, expected at most {MAX_MESSAGE}")]
    TooLarge(usize),
    /// The message is not JSON, or not a JSON object.
    #[error("the message is not a JSON object: {0}")]
    NotJson(String),
    /// A field is missing, or has an invalid type or value.
    #[error("bad field `{path}`: {reason}")]
    BadField {
        /// The path of the field, such as `phases[0].name`.
        path: String,
        /// Why the field is invalid.
        reason: String,
    },
}

/// Encodes a message as JSON.
pub(super) fn to_bytes<T: Serialize>(message: &T) -> Vec<u8> {
    // Encoding cannot fail: messages are plain structs with string keys.
    serde_json::to_vec(message).unwrap_or_default()
}

/// Encodes a message in less than [`MAX_ENCODED`] bytes: `shortened` instead if the message is longer.
pub(super) fn to_bounded_bytes<T: Serialize>(message: &T, shortened: impl FnOnce() -> T) -> Vec<u8> {
    let bytes = to_bytes(message);
    if bytes.len() < MAX_ENCODED { bytes } else { to_bytes(&shortened()) }
}

/// Parses a message; an error names the invalid field.
pub(super) fn from_bytes<T: DeserializeOwned>(payload: &[u8]) -> Result<T, WireError> {
    check_object(payload)?;
    if let Ok(message) = serde_json::from_slice(payload) {
        return Ok(message);
    }
    // Tracking the path doubles the time, so it is only done if parsing has failed.
    let mut json = serde_json::Deserializer::from_slice(payload);
    let message = serde_path_to_error::deserialize(&mut json).map_err(explain)?;
    json.end().map_err(|error| WireError::NotJson(error.to_string()))?;
    Ok(message)
}

/// Parses a message from a JSON value.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, WireError> {
    serde_path_to_error::deserialize(value).map_err(explain)
}

/// Parses a payload that must be a JSON object.
pub(super) fn object(payload: &[u8]) -> Result<serde_json::Map<String, Value>, WireError> {
    check_object(payload)?;
    serde_json::from_slice(payload).map_err(|error| WireError::NotJson(error.to_string()))
}

/// Checks the size and the first character. Without this check, serde would also read a struct from an array.
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
        // The error of a missing field has no path, but its message has the name.
        let reason = inner.to_string();
        return match reason.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            Some(field) => WireError::BadField { path: field.to_owned(), reason: "it is missing".to_owned() },
            None => WireError::NotJson(reason),
        };
    }
    WireError::BadField { path, reason: inner.to_string() }
}

/// For required fields: `null` means the same as absent.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For lists: `null` means the same as absent. The result has no excess capacity.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut grown: Vec<T> = null_as_default(deserializer)?;
    // The grown list is freed as a whole and can be reused. Shrinking it would fragment the memory.
    let mut list = Vec::with_capacity(grown.len());
    list.append(&mut grown);
    Ok(list)
}

/// For optional names: an empty string means the same as absent, because base peers send it.
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
