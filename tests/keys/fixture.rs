//! A small fleet with the same keys in every run.

use nkeys::{KeyPair, KeyPairType};
use std::sync::LazyLock;

/// The entries of [`fleet_file`], in the order of the rendered users.
pub(crate) const ENTRIES: [&str; 10] = [
    "hosts.gw",
    "hosts.ns1",
    "hosts.www",
    "operators.alice",
    "operators.dana",
    "operators.eve",
    "operators.forge",
    "operators.robot",
    "operators.root",
    "operators.tinker",
];

/// The key pair of an entry; the same entry has the same key.
pub(crate) fn pair(entry: &str) -> KeyPair {
    let mut bytes = [7; 32];
    bytes[..entry.len()].copy_from_slice(entry.as_bytes());
    KeyPair::new_from_raw(KeyPairType::User, bytes).unwrap()
}

/// The public key of an entry.
pub(crate) fn public_key(entry: &str) -> String {
    pair(entry).public_key()
}

/// The entries of the file, in arbitrary order: three hosts, and an operator of each kind, or two if `builds` makes a
/// difference.
const FILE: [(&str, &str); 10] = [
    ("operators.root", "kind = \"admin\""),
    ("operators.alice", "kind = \"deployer\"\ntiers = [\"prod\"]"),
    ("operators.dana", "kind = \"deployer\"\ntiers = [\"test\", \"lab\"]\nbuilds = true"),
    ("operators.eve", "kind = \"viewer\""),
    ("operators.forge", "kind = \"builder\""),
    ("operators.robot", "kind = \"mcp\""),
    ("operators.tinker", "kind = \"mcp\"\ntiers = [\"test\"]\nbuilds = true"),
    ("hosts.gw", "tier = \"prod\"\nconfirm_peers = true"),
    ("hosts.www", "tier = \"test\""),
    ("hosts.ns1", "tier = \"prod\"\nrole = \"dns\""),
];

/// One section for each entry.
pub(crate) fn sections() -> Vec<String> {
    let section = |(entry, fields)| format!("[{entry}]\n{fields}\npublic_key = {:?}\n\n", public_key(entry));
    FILE.map(section).to_vec()
}

/// The file of a fleet without listeners of the older tool.
pub(crate) fn without_base_subjects() -> String {
    format!("base_subjects = false\n{}", fleet_file())
}

/// The complete file. It is only created once, because key generation is slow in a debug build.
pub(crate) fn fleet_file() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| sections().concat());
    &TEXT
}
