//! New seeds: written once, readable only by their owner, and never shown.

use homelab_deploy::keys::{CredentialKind, UserSeed, UserSeedError};
use nkeys::{KeyPair, KeyPairType};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use strum::VariantArray as _;

#[test]
fn a_seed_file_is_for_its_owner_only_and_holds_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ns1.seed");
    let seed = UserSeed::generate().unwrap();
    seed.write_new(&path).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{}\n", seed.expose()));
    let pair = KeyPair::from_seed(text.trim()).unwrap();
    assert_eq!(pair.key_pair_type(), KeyPairType::User);
    assert_eq!(pair.public_key(), seed.public_key());
}

#[test]
fn every_seed_is_different() {
    assert_ne!(UserSeed::generate().unwrap().expose(), UserSeed::generate().unwrap().expose());
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alice.seed");
    fs::write(&path, "in use").unwrap();
    let seed = UserSeed::generate().unwrap();

    let error = seed.write_new(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "did not write the seed: {} exists and may hold a key in use; choose another path, or move that file away",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "in use");
    hides(&seed, &error);
}

#[test]
fn a_link_to_elsewhere_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (target, link) = (dir.path().join("target"), dir.path().join("link"));
    symlink(&target, &link).unwrap();

    let error = UserSeed::generate().unwrap().write_new(&link).unwrap_err();
    assert!(matches!(error, UserSeedError::Exists(_)), "{error}");
    assert!(!target.exists());
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing/ns1.seed");
    let seed = UserSeed::generate().unwrap();

    let error = seed.write_new(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "could not write the seed to {}: No such file or directory (os error 2); choose a path in an existing directory that you can write to",
            path.display()
        )
    );
    hides(&seed, &error);
}

#[test]
fn debug_shows_the_public_half_only() {
    let seed = UserSeed::generate().unwrap();
    assert_eq!(format!("{seed:?}"), format!("UserSeed {{ public_key: {:?}, .. }}", seed.public_key()));
}

fn hides(seed: &UserSeed, error: &UserSeedError) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(seed.expose()), "an error shows the seed");
    }
}

#[test]
fn each_kind_parses_from_its_name() {
    for kind in CredentialKind::VARIANTS.iter().copied() {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(
        "root".parse::<CredentialKind>().unwrap_err().to_string(),
        "invalid kind \"root\": expected listener, deployer, admin, viewer, builder or mcp"
    );
}
