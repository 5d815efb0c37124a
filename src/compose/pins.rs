//! A generated override that pins services to image ids, so that a rollback is independent of tags.

use crate::atomic_file::{self, WriteError};
use crate::ordered::CollectOrdered;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The image id of each service of a Compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImagePins(pub BTreeMap<String, String>);

impl ImagePins {
    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the override. JSON is valid YAML.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let services: BTreeMap<_, _> = self
            .0
            .iter()
            .map(|(service, image)| (service, serde_json::json!({ "image": image })))
            .collect_map();
        let json = serde_json::json!({ "services": services });
        atomic_file::write(path, json.to_string().as_bytes())
    }
}
