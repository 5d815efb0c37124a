//! The keys of `--trusted-key`.

use crate::keys::TrustedKey;
use crate::protocol::holds_seed;
use anyhow::{anyhow, bail};

/// Reads what follows each `--trusted-key`. It is not told back: it could be a seed, or half of one.
pub(super) fn trusted_keys(given: &[String]) -> anyhow::Result<Vec<TrustedKey>> {
    let mut keys: Vec<TrustedKey> = Vec::new();
    for (n, text) in given.iter().enumerate() {
        let which = if given.len() > 1 { format!(" (number {})", n + 1) } else { String::new() };
        if holds_seed(text) {
            bail!(
                "--trusted-key{which} holds a seed, which is secret: write the public key that belongs to it, the text starting \
                 with U, and make a new key if others have seen this"
            );
        }
        let trusted = TrustedKey::parse(text.trim()).map_err(|why| anyhow!("--trusted-key{which}: {why}"))?;
        match keys.iter().find(|known| known.key == trusted.key) {
            None => keys.push(trusted),
            Some(known) if *known == trusted => {}
            Some(_) => bail!(
                "--trusted-key{which}: {} is given before with another date; give each key once",
                trusted.key.as_str()
            ),
        }
    }
    Ok(keys)
}
