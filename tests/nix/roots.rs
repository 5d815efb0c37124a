//! Roots protect store paths from a real garbage collection until they are removed.

use crate::store::Store;
use homelab_deploy::nix::remove_root;
use std::path::Path;

#[tokio::test]
async fn a_root_protects_its_closure_until_it_is_removed() {
    let store = Store::new();
    store.hosts(r#"web = sh "nixos-system-web" "echo ${sh "lib-1" "echo > $out"} > $out";"#);
    let system = store.system("web").await;
    let text = std::fs::read_to_string(&system).unwrap();
    let library = Path::new(text.trim());
    let other = store.add("other", "not referenced");
    // The result link of the build is a root too.
    let (job, roots) = (store.path("result"), store.path("roots"));
    std::fs::create_dir(&roots).unwrap();
    let nix = store.nix();
    let collect = || drop(store.run("nix-store", &["--gc"]));

    collect();
    assert!(system.exists() && library.exists() && !other.exists());

    let root = nix.add_root(&roots, "before", &system).await.unwrap();
    assert_eq!(root, roots.join("before"));
    assert_eq!(std::fs::read_link(&root).unwrap(), system);
    remove_root(&job).unwrap();
    collect();
    assert!(system.exists() && library.exists());

    // A root can be moved to another path.
    let next = store.add("next", "");
    nix.add_root(&roots, "before", &next).await.unwrap();
    collect();
    assert!(!system.exists() && !library.exists() && next.exists());

    remove_root(&root).unwrap();
    collect();
    assert!(!next.exists());
    // Removing it again succeeds.
    remove_root(&root).unwrap();
}

#[tokio::test]
async fn only_links_can_be_roots_and_the_store_path_must_exist() {
    let store = Store::new();
    let path = store.add("something", "");
    let roots = store.path("roots");
    std::fs::create_dir_all(roots.join("taken")).unwrap();
    let error = store.nix().add_root(&roots, "taken", &path).await.unwrap_err().to_string();
    let expected = format!(
        "could not add the root {} for {}: the path exists and is not a link; move it away",
        roots.join("taken").display(),
        path.display()
    );
    assert_eq!(error, expected);
    let error = remove_root(&roots.join("taken")).unwrap_err().to_string();
    assert!(error.ends_with("/taken: it is not a link; check what it is"), "{error}");

    let nowhere = store.path("store/00000000000000000000000000000000-nowhere");
    let error = store.nix().add_root(&roots, "nowhere", &nowhere).await.unwrap_err().to_string();
    let start =
        format!("could not add the root {} for {}: ", roots.join("nowhere").display(), nowhere.display());
    assert!(error.starts_with(&start), "{error}");
    assert!(!roots.join("nowhere").is_symlink());
}
