//! New seeds: written once, readable by their owner only, and shown nowhere.

use homelab_deploy::keys::{Kind, Seed, SeedError};
use nkeys::{KeyPair, KeyPairType};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

#[test]
fn a_seed_file_is_for_its_owner_only_and_holds_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ns1.seed");
    let seed = Seed::generate().unwrap();
    seed.write_new(&path).unwrap();

    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{}\n", seed.expose()));
    let pair = KeyPair::from_seed(text.trim()).unwrap();
    assert_eq!(pair.key_pair_type(), KeyPairType::User);
    assert_eq!(pair.public_key(), seed.public_key());
}

#[test]
fn each_seed_is_another() {
    assert_ne!(Seed::generate().unwrap().expose(), Seed::generate().unwrap().expose());
}

#[test]
fn a_file_that_exists_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice.seed");
    fs::write(&path, "in use").unwrap();
    let seed = Seed::generate().unwrap();

    let error = seed.write_new(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "did not write the seed: {} exists and may hold a key in use; name another file, or move that one away",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "in use");
    hides(&seed, &error);
}

#[test]
fn a_link_to_elsewhere_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    symlink(&target, &link).unwrap();

    let error = Seed::generate().unwrap().write_new(&link).unwrap_err();
    assert!(matches!(error, SeedError::Exists(_)), "{error}");
    assert!(!target.exists());
}

#[test]
fn a_missing_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/ns1.seed");
    let seed = Seed::generate().unwrap();

    let error = seed.write_new(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "could not write the seed to {}: No such file or directory (os error 2); name a file in a folder that \
             exists and that you may write",
            path.display()
        )
    );
    hides(&seed, &error);
}

#[test]
fn debug_shows_the_public_half_only() {
    let seed = Seed::generate().unwrap();
    assert_eq!(format!("{seed:?}"), format!("Seed {{ public_key: {:?}, .. }}", seed.public_key()));
}

fn hides(seed: &Seed, error: &SeedError) {
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(seed.expose()), "an error shows the seed");
    }
}

#[test]
fn each_kind_is_read_from_its_own_word() {
    for kind in Kind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!(
        "root".parse::<Kind>().unwrap_err().to_string(),
        "\"root\" is no kind of credential; there are listener, deployer, admin, viewer, builder and mcp"
    );
}
