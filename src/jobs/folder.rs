//! The folder of one job: its record, its log, and the proof that its host can still be reached.

use super::{Record, StoreError};
use crate::durable;
use crate::protocol::Id;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where everything about one job lies.
///
/// The record has one owner at a time: the listener until it hands the job over, then the activation program until the
/// verdict stands. The proof and the note that the verdict was told are always the listener's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder(PathBuf);

/// What a listener found out about its link after an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What it was asked to write down.
    pub nonce: String,
    /// Whether a fresh connection with every subscription was made.
    pub proved: bool,
    /// Whether the connection was refused: the network works and the broker is away.
    #[serde(default)]
    pub refused: bool,
    /// Why not, in words.
    #[serde(default)]
    pub said: String,
}

impl JobFolder {
    /// The folder of a job in a state directory. An id is a token, so it is a safe name.
    pub fn new(state_dir: &Path, id: &Id) -> Self {
        Self(state_dir.join("jobs").join(id.as_str()))
    }

    /// The links that keep the new system and what ran before it from garbage collection.
    pub fn roots(&self) -> [PathBuf; 2] {
        ["result", "old"].map(|name| self.0.join(name))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The job's whole output.
    pub fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// The file of the record.
    pub fn record_file(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// Reads the record.
    pub fn record(&self) -> Result<Record, StoreError> {
        let path = self.record_file();
        let bytes = fs::read(&path).map_err(|source| StoreError::Folder { path: path.clone(), source })?;
        Record::parse(&bytes).map_err(|source| StoreError::Damaged { path, source })
    }

    /// Writes the record durably.
    pub fn save(&self, record: &Record) -> Result<(), StoreError> {
        let path = &self.0;
        fs::create_dir_all(path).map_err(|source| StoreError::Folder { path: path.clone(), source })?;
        let id = &record.request.id;
        let json = record.encode().map_err(|source| StoreError::Encode { id: id.clone(), source })?;
        Ok(durable::write(&self.record_file(), &json)?)
    }

    /// What a listener last wrote down about its link; `None` where it wrote nothing that can be read.
    pub fn proof(&self) -> Option<Proof> {
        serde_json::from_slice(&fs::read(self.proof_file()).ok()?).ok()
    }

    /// Writes down what was found out about the link.
    pub fn write_proof(&self, proof: &Proof) -> Result<(), StoreError> {
        // Our own plain struct always has a JSON form.
        let json = serde_json::to_vec(proof).unwrap_or_default();
        Ok(durable::write(&self.proof_file(), &json)?)
    }

    fn proof_file(&self) -> PathBuf {
        self.0.join("proof.json")
    }
}
