//! Signs requests as docs/keys.md describes it, without any code of the program.

use super::nats_server::seed;
use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;

/// A signing key.
pub struct Signer(KeyPair);

impl Signer {
    /// The key that every server knows for this user.
    pub fn of(user: &str) -> Self {
        Self(KeyPair::from_seed(seed(user)).unwrap())
    }

    /// The public key.
    pub fn key(&self) -> String {
        self.0.public_key()
    }

    /// Signs arbitrary content.
    pub fn sign(&self, content: &[u8]) -> String {
        BASE64URL_NOPAD.encode(&self.0.sign(content).unwrap())
    }

    /// The headers of a request that is published on `subject`.
    pub fn headers(&self, subject: &str, payload: &[u8]) -> Vec<(String, String)> {
        self.headers_for("request", subject, payload)
    }

    /// The headers of a message for any purpose, in a fleet without a name.
    pub fn headers_for(&self, purpose: &str, subject: &str, payload: &[u8]) -> Vec<(String, String)> {
        let first = format!("{purpose}\n\n{subject}\n");
        let signed = [b"homelab-deploy-v2\xff\n", first.as_bytes(), payload].concat();
        let header = |name: &str, value: String| (name.to_owned(), value);
        // In alphabetical order.
        vec![header("Homelab-Deploy-Key", self.key()), header("Homelab-Deploy-Signature", self.sign(&signed))]
    }
}
