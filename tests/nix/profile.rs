//! A profile is set, listed, switched back and tidied up, by nix itself where nix does it.

use crate::store::Store;
use homelab_deploy::nix::{Profile, SetTo};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};

/// A store with the profile of a host, and two systems for it.
fn store() -> (Store, Profile, [PathBuf; 2]) {
    let store = Store::new();
    let systems = ["nixos-system-1", "nixos-system-2"].map(|name| store.add(name, name));
    std::fs::create_dir_all(store.path("profiles")).unwrap();
    let profile = Profile::new(store.path("profiles/system"));
    (store, profile, systems)
}

/// Number, system and whether it is current.
fn listed(profile: &Profile) -> Vec<(u64, PathBuf, bool)> {
    let generations = profile.generations().unwrap();
    generations.into_iter().map(|one| (one.number, one.system, one.current)).collect()
}

#[tokio::test]
async fn a_profile_is_set_and_its_generations_are_listed() {
    let (store, profile, [one, two]) = store();
    let nix = store.nix();
    assert_eq!(profile.link().unwrap(), None);
    assert_eq!(profile.target().unwrap(), None);
    assert_eq!(profile.generation().unwrap(), None);
    assert_eq!(listed(&profile), []);

    assert_eq!(nix.set(&profile, &one).await.unwrap(), SetTo { generation: 1, made: true });
    assert_eq!(profile.link().unwrap().as_deref(), Some(Path::new("system-1-link")));
    assert_eq!(profile.target().unwrap().as_ref(), Some(&one));
    assert_eq!(nix.set(&profile, &two).await.unwrap(), SetTo { generation: 2, made: true });
    assert_eq!(profile.generation().unwrap(), Some(2));
    assert_eq!(listed(&profile), [(1, one, false), (2, two.clone(), true)]);

    // Another profile beside it, whose name begins as ours does, is none of ours.
    let other = Profile::new(store.path("profiles/system-profiles"));
    nix.set(&other, &two).await.unwrap();
    assert_eq!(listed(&profile).len(), 2);

    let made = profile.generations().unwrap()[1].at;
    assert!(Timestamp::now().duration_since(made) < SignedDuration::from_mins(10), "{made}");
}

#[tokio::test]
async fn setting_the_same_system_makes_no_generation() {
    let (store, profile, [one, two]) = store();
    let nix = store.nix();
    nix.set(&profile, &one).await.unwrap();
    nix.set(&profile, &two).await.unwrap();
    profile.switch_link(&profile.link_of(1)).unwrap();
    assert_eq!(nix.set(&profile, &two).await.unwrap(), SetTo { generation: 2, made: false });
    // The newest counts, not the current one.
    profile.switch_link(&profile.link_of(1)).unwrap();
    assert_eq!(nix.set(&profile, &one).await.unwrap(), SetTo { generation: 3, made: true });
}

#[tokio::test]
async fn the_old_link_comes_back_and_the_new_generation_goes() {
    let (store, profile, [one, two]) = store();
    let nix = store.nix();
    nix.set(&profile, &one).await.unwrap();
    let old = profile.link().unwrap().unwrap();
    let SetTo { generation, .. } = nix.set(&profile, &two).await.unwrap();

    let error = nix.delete_generation(&profile, generation).await.unwrap_err();
    let expected = format!(
        "could not delete generation 2 of {}: the profile is at it; switch it first",
        profile.path().display()
    );
    assert_eq!(error.to_string(), expected);

    profile.switch_link(&old).unwrap();
    assert_eq!(profile.link().unwrap(), Some(old));
    assert_eq!(profile.target().unwrap().as_ref(), Some(&one));
    nix.delete_generation(&profile, generation).await.unwrap();
    assert_eq!(listed(&profile), [(1, one, true)]);
    // It is gone already.
    nix.delete_generation(&profile, generation).await.unwrap();
    let names = std::fs::read_dir(store.path("profiles")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains("new")), "{names:?}");
}

#[tokio::test]
async fn what_is_not_there_is_no_way_back() {
    let (store, profile, [one, _]) = store();
    store.nix().set(&profile, &one).await.unwrap();
    let error = profile.switch_link(&profile.link_of(7)).unwrap_err();
    let path = profile.path().display();
    let expected =
        format!("could not switch {path} to system-7-link: No such file or directory (os error 2)");
    assert_eq!(error.to_string(), expected);
    assert_eq!(profile.generation().unwrap(), Some(1));
    assert_eq!(std::fs::read_dir(store.path("profiles")).unwrap().count(), 2);
}

#[tokio::test]
async fn what_nix_refuses_is_told() {
    let (store, profile, [one, _]) = store();
    let nowhere = store.path("store/00000000000000000000000000000000-nowhere");
    let error = store.nix().set(&profile, &nowhere).await.unwrap_err().to_string();
    let start = format!("could not set the profile {} to {}: ", profile.path().display(), nowhere.display());
    assert!(error.starts_with(&start), "{error}");
    assert_eq!(profile.link().unwrap(), None);

    let nix = store.nix().env("PATH", store.path("nothing"));
    let error = nix.set(&profile, &one).await.unwrap_err().to_string();
    assert!(error.ends_with(": nix is not installed here; put it on the service's PATH"), "{error}");
    std::fs::write(profile.path(), "").unwrap();
    let error = profile.link().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("could not read the profile {}: ", profile.path().display())),
        "{error}"
    );
}
