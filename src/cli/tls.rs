//! The certificates of a connection.

use super::exit::Failed;
use crate::bus::Tls;
use anyhow::Context;
use clap::Args;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Certificate files as they are given.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// The certificate authority to trust instead of the system's, PEM
    #[arg(id = "tls_ca", long = "tls-ca", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Our certificate, PEM
    #[arg(id = "tls_cert", long = "tls-cert", value_name = "FILE", requires = "tls_key")]
    pub(super) cert: Option<PathBuf>,
    /// The key of our certificate, PEM
    #[arg(id = "tls_key", long = "tls-key", value_name = "FILE", requires = "tls_cert")]
    pub(super) key: Option<PathBuf>,
}

impl TlsArgs {
    /// The files, each of which must be there.
    pub(super) fn tls(&self) -> Result<Tls, Failed> {
        let files = [("--tls-ca", &self.ca), ("--tls-cert", &self.cert), ("--tls-key", &self.key)];
        for (flag, file) in files {
            file.as_deref().map(|file| readable(&format!("could not read {flag}"), file)).transpose()?;
        }
        Ok(Tls { ca: self.ca.clone(), identity: self.cert.clone().zip(self.key.clone()) })
    }
}

/// A connection without TLS never looks at these files: one that is not there is told before.
pub(super) fn readable(what: &str, file: &Path) -> Result<(), Failed> {
    let opened = File::open(file).with_context(|| format!("{what} {}", file.display()));
    opened.map(drop).map_err(Failed::usage)
}
