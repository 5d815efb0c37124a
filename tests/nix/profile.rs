//! Sets, lists, switches and cleans up a real profile.

use crate::store::Store;
use homelab_deploy::nix::{Profile, SetGeneration};
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

    assert_eq!(
        nix.set_profile(&profile, &one).await.unwrap(),
        SetGeneration { generation: 1, created: true }
    );
    assert_eq!(profile.link().unwrap().as_deref(), Some(Path::new("system-1-link")));
    assert_eq!(profile.target().unwrap().as_ref(), Some(&one));
    assert_eq!(
        nix.set_profile(&profile, &two).await.unwrap(),
        SetGeneration { generation: 2, created: true }
    );
    assert_eq!(profile.generation().unwrap(), Some(2));
    assert_eq!(listed(&profile), [(1, one, false), (2, two.clone(), true)]);

    // Generations of another profile with the same name prefix are not listed.
    let other = Profile::new(store.path("profiles/system-profiles"));
    nix.set_profile(&other, &two).await.unwrap();
    assert_eq!(listed(&profile).len(), 2);

    let created = profile.generations().unwrap()[1].at;
    assert!(Timestamp::now().duration_since(created) < SignedDuration::from_mins(10), "{created}");
}

#[tokio::test]
async fn setting_the_same_system_creates_no_generation() {
    let (store, profile, [one, two]) = store();
    let nix = store.nix();
    nix.set_profile(&profile, &one).await.unwrap();
    nix.set_profile(&profile, &two).await.unwrap();
    profile.switch_link(&profile.generation_link(1)).unwrap();
    assert_eq!(
        nix.set_profile(&profile, &two).await.unwrap(),
        SetGeneration { generation: 2, created: false }
    );
    // nix compares with the newest generation, not with the current one.
    profile.switch_link(&profile.generation_link(1)).unwrap();
    assert_eq!(
        nix.set_profile(&profile, &one).await.unwrap(),
        SetGeneration { generation: 3, created: true }
    );
}

#[tokio::test]
async fn the_old_link_is_restored_and_the_new_generation_deleted() {
    let (store, profile, [one, two]) = store();
    let nix = store.nix();
    nix.set_profile(&profile, &one).await.unwrap();
    let old = profile.link().unwrap().unwrap();
    let SetGeneration { generation, .. } = nix.set_profile(&profile, &two).await.unwrap();

    let error = nix.delete_generation(&profile, generation).await.unwrap_err();
    let expected = format!(
        "could not delete generation 2 of {}: it is the current generation; switch to another one first",
        profile.path().display()
    );
    assert_eq!(error.to_string(), expected);

    profile.switch_link(&old).unwrap();
    assert_eq!(profile.link().unwrap(), Some(old));
    assert_eq!(profile.target().unwrap().as_ref(), Some(&one));
    nix.delete_generation(&profile, generation).await.unwrap();
    assert_eq!(listed(&profile), [(1, one, true)]);
    // Deleting it again succeeds.
    nix.delete_generation(&profile, generation).await.unwrap();
    let names = std::fs::read_dir(store.path("profiles")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains("new")), "{names:?}");
}

#[tokio::test]
async fn a_missing_generation_cannot_be_restored() {
    let (store, profile, [one, _]) = store();
    store.nix().set_profile(&profile, &one).await.unwrap();
    let error = profile.switch_link(&profile.generation_link(7)).unwrap_err();
    let path = profile.path().display();
    let expected =
        format!("could not switch {path} to system-7-link: No such file or directory (os error 2)");
    assert_eq!(error.to_string(), expected);
    assert_eq!(profile.generation().unwrap(), Some(1));
    assert_eq!(std::fs::read_dir(store.path("profiles")).unwrap().count(), 2);
}

#[tokio::test]
async fn an_error_of_nix_is_reported() {
    let (store, profile, [one, _]) = store();
    let nowhere = store.path("store/00000000000000000000000000000000-nowhere");
    let error = store.nix().set_profile(&profile, &nowhere).await.unwrap_err().to_string();
    let start = format!("could not set the profile {} to {}: ", profile.path().display(), nowhere.display());
    assert!(error.starts_with(&start), "{error}");
    assert_eq!(profile.link().unwrap(), None);

    let nix = store.nix().env("PATH", store.path("nothing"));
    let error = nix.set_profile(&profile, &one).await.unwrap_err().to_string();
    assert!(error.ends_with(": nix is not installed here; put it on the service's PATH"), "{error}");
    std::fs::write(profile.path(), "").unwrap();
    let error = profile.link().unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("could not read the profile {}: ", profile.path().display())),
        "{error}"
    );
}
