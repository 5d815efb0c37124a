//! What an operator signs of a request, and how the signature travels.

use data_encoding::BASE64URL_NOPAD;
use jiff::SignedDuration;

/// The header with the public key of whoever signed, `U…`.
pub const KEY_HEADER: &str = "Homelab-Deploy-Key";
/// The header with the signature, see [`encode_signature`].
pub const SIGNATURE_HEADER: &str = "Homelab-Deploy-Signature";
/// The longest that a signed request may be of use: whoever holds one back has no longer than this.
pub const MAX_LIFE: SignedDuration = SignedDuration::from_mins(5);

/// Tells our signatures from any other use of the same key, such as the sign-in to the server.
const PURPOSE: &str = "homelab-deploy-v1";

/// The bytes that are signed: the purpose, the subject that the request is published to, and the exact payload, with a
/// line end after each of the first two. A subject holds no line end, so no two requests have the same bytes.
pub fn signed_bytes(subject: &str, payload: &[u8]) -> Vec<u8> {
    [PURPOSE.as_bytes(), b"\n", subject.as_bytes(), b"\n", payload].concat()
}

/// A signature as text: base64 in the alphabet for URLs, without padding, as NATS itself writes those of nkeys.
pub fn encode_signature(signature: &[u8]) -> String {
    BASE64URL_NOPAD.encode(signature)
}

/// Reads what [`encode_signature`] wrote; `None` for anything else. Each signature has one text alone.
pub fn decode_signature(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}
