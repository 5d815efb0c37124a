//! Signs requests as docs/keys.md describes it, without a word of ours.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use std::path::Path;

/// A key that signs.
pub struct Signer(KeyPair);

impl Signer {
    /// The key in a file.
    pub fn with_key(key: &Path) -> Self {
        Self(KeyPair::from_seed(std::fs::read_to_string(key).unwrap().trim()).unwrap())
    }

    /// The public key.
    pub fn key(&self) -> String {
        self.0.public_key()
    }

    /// The headers of a request that is published to `subject`.
    pub fn headers(&self, subject: &str, payload: &[u8]) -> Vec<(String, String)> {
        let signed = [b"homelab-deploy-v1\n", subject.as_bytes(), b"\n", payload].concat();
        let signature = BASE64URL_NOPAD.encode(&self.0.sign(&signed).unwrap());
        let header = |name: &str, value: String| (name.to_owned(), value);
        vec![header("Homelab-Deploy-Key", self.key()), header("Homelab-Deploy-Signature", signature)]
    }
}
