//! Public keys and expiry dates: modules and program accept the same ones, and those on the pages are valid.

use crate::evaluate::{Library, file, nix_instantiate};
use crate::fixture::{ENTRIES, public_key};
use homelab_deploy::keys::parse_expiry;
use homelab_deploy::protocol::PublicKey;
use std::fs;
use std::path::PathBuf;

fn is_in_base32(c: char) -> bool {
    c.is_ascii_uppercase() || ('2'..='7').contains(&c)
}

/// The words of a text that look like public keys, not as part of a longer word such as a seed.
fn keys_in(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !is_in_base32(c));
    words.filter(|word| word.len() == 56 && word.starts_with('U')).collect()
}

/// The files below a directory.
fn files_below(directory: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut directories = vec![file(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn every_key_in_pages_and_modules_is_valid() {
    let mut seen = 0;
    let files = files_below("docs").into_iter().chain(files_below("nixos")).chain([file("README.md")]);
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for key in keys_in(&text) {
            seen += 1;
            assert!(PublicKey::parse(key).is_ok(), "{}: {key}", path.display());
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn keys_are_valid_exactly_if_the_program_accepts_them() {
    let keys: Vec<_> = ENTRIES.iter().map(|entry| public_key(entry)).collect();
    let mut texts = keys.clone();
    for (n, key) in keys.iter().enumerate() {
        // One character differs.
        let at = 1 + n * 6 % 55;
        let other = if &key[at..=at] == "A" { "B" } else { "A" };
        texts.push(format!("{}{other}{}", &key[..at], &key[at + 1..]));
    }
    texts.extend(
        ["", "alice", &keys[0][1..], &format!("{}A", keys[0]), &keys[0].to_lowercase()].map(str::to_owned),
    );
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    for library in Library::all() {
        for (text, taken) in texts.iter().zip(accepted(&library, "public-key", &texts)) {
            assert_eq!(taken, PublicKey::parse(text).is_ok(), "{text}");
        }
    }
}

/// Whether a type accepts each of these strings.
fn accepted(library: &Library, of_type: &str, texts: &[&str]) -> Vec<bool> {
    let expression = format!(
        "map (import {}/{of_type}.nix {{ lib = {}; }}).check [ {} ]",
        file("nixos").display(),
        library.expression(),
        texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" ")
    );
    let output =
        nix_instantiate().args(["--eval", "--strict", "--json", "--expr", &expression]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn dates_are_valid_exactly_if_the_program_accepts_them() {
    let texts = [
        "2027-01-01",
        "2027-12-31",
        "2028-02-29",
        "2000-02-29",
        "2027-01-01T12:00:00Z",
        "2027-01-01T23:59:59.123456789+23:59",
        "2027-01-01T00:00:00-01:00",
        "2027-02-29",
        "2100-02-29",
        "2027-04-31",
        "2027-13-01",
        "2027-00-01",
        "2027-01-00",
        "2027-1-1",
        "2027-01-01T12:00:00",
        "2027-01-01T24:00:00Z",
        "2027-01-01T12:60:00Z",
        "2027-01-01T12:00:00+24:60",
        "27-01-01",
        "soon",
        "",
    ];
    for library in Library::all() {
        for (text, taken) in texts.iter().zip(accepted(&library, "expiry", &texts)) {
            assert_eq!(taken, parse_expiry(text).is_ok(), "{text}");
        }
    }
}
