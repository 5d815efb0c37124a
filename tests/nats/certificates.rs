//! Certificates that are created for each test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// An authority, with the files of all certificates that it signed.
pub(crate) struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Creates an authority that is not trusted yet.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A unique name, so that authorities cannot be confused with each other.
        params.distinguished_name.push(DnType::CommonName, "home");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        fs::write(dir.path().join("ca-key.pem"), issuer.key().serialize_pem()).unwrap();
        Self { dir, issuer }
    }

    /// Its own certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Its own certificate and key, which a server should not use.
    pub(crate) fn own(&self) -> Pair {
        Pair { certificate: self.ca(), key: self.dir.path().join("ca-key.pem") }
    }

    /// A currently valid certificate for these names.
    pub(crate) fn sign(&self, file: &str, names: &[&str]) -> Pair {
        self.sign_for(file, names, 2000..=3000)
    }

    /// A certificate that is valid from the first day of one year to the first day of another.
    pub(crate) fn sign_for(&self, file: &str, names: &[&str], years: RangeInclusive<i32>) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(*years.start(), 1, 1);
        params.not_after = rcgen::date_time_ymd(*years.end(), 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let at = |end: &str| self.dir.path().join(format!("{file}{end}"));
        let pair = Pair { certificate: at(".pem"), key: at("-key.pem") };
        fs::write(&pair.certificate, certificate.pem()).unwrap();
        fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }
}

impl Pair {
    /// The configuration of a server with this certificate.
    pub(crate) fn of_server(&self, rest: &str) -> String {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        format!("tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", {rest} }}")
    }

    /// The configuration of a server that requires client certificates.
    pub(crate) fn of_strict_server(&self, ca: &Path) -> String {
        self.of_server(&format!("ca_file: \"{}\", verify: true", ca.display()))
    }
}
