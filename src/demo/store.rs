//! Made-up store paths, the same at every start.

/// The digits of nix's base 32.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A number that is always the same for the same text.
pub(super) fn seed(text: &str) -> u64 {
    text.bytes().fold(5381, |sum: u64, byte| sum.wrapping_mul(33) ^ u64::from(byte))
}

/// The store path of something with this name and content.
pub(super) fn path(name: &str, content: &str) -> String {
    let mut random = fastrand::Rng::with_seed(seed(&format!("{name} {content}")));
    let hash: String = (0..32).map(|_| char::from(DIGITS[random.usize(..32)])).collect();
    format!("/nix/store/{hash}-{name}")
}
