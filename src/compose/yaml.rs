//! Reads a YAML file of the repository: unknown keys are warnings, errors name the file and the line.

use crate::text::{closest_matches, did_you_mean, printable};
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;

/// A file, and what is wrong with it although it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlFile<T> {
    /// The content.
    pub content: T,
    /// A warning for each unknown key.
    pub warnings: Vec<String>,
}

/// Why a YAML file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// The file does not exist.
    #[error("{0} does not exist in the repository; add it")]
    Missing(String),
    /// The file cannot be read.
    #[error("could not read {0}: {1}")]
    Io(String, io::Error),
    /// The content is not valid. Holds the place and the reason.
    #[error("{0}: {1}")]
    Invalid(String, String),
}

impl<T: DeserializeOwned> YamlFile<T> {
    /// Reads `name`, a path in the work tree `tree`. `keys` are the known keys, for suggestions.
    pub(super) fn read(tree: &Path, name: &str, keys: &[&str]) -> Result<Self, YamlError> {
        let bytes = crate::atomic_file::read(&tree.join(name)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => YamlError::Missing(name.to_owned()),
            _ => YamlError::Io(name.to_owned(), error),
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| YamlError::Invalid(name.to_owned(), "not UTF-8".to_owned()))?;
        Self::parse(&text, name, keys)
    }

    pub(super) fn parse(text: &str, name: &str, keys: &[&str]) -> Result<Self, YamlError> {
        let mut warnings = Vec::new();
        let parsed = serde_saphyr::with_deserializer_from_str(text, |yaml| {
            serde_ignored::deserialize(yaml, |path| {
                // An optional value is a step of the path too.
                let path = path.to_string().replace(".?", "");
                let key = path.rsplit('.').next().unwrap_or_default();
                let advice = did_you_mean(&closest_matches(key, keys.iter().copied()));
                warnings.push(printable(&format!("{name}: unknown key {path}{advice}")));
            })
        });
        match parsed {
            Ok(content) => Ok(Self { content, warnings }),
            Err(error) => {
                let place = match error.location() {
                    Some(at) => format!("{name}, line {}", at.line()),
                    None => name.to_owned(),
                };
                Err(YamlError::Invalid(place, reason(&error)))
            }
        }
    }
}

/// The reason on one line, without the place, which the caller names.
fn reason(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    printable(text.split(" at line ").next().unwrap_or(text))
}
