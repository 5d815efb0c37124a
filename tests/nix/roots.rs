//! What a root keeps is there after a real garbage collection, and gone after the next once the root is.

use crate::store::Store;
use homelab_deploy::nix::drop_root;
use std::path::Path;

#[tokio::test]
async fn a_root_keeps_its_closure_until_it_is_dropped() {
    let store = Store::new();
    store.hosts(r#"web = sh "nixos-system-web" "echo ${sh "lib-1" "echo > $out"} > $out";"#);
    let system = store.system("web").await;
    let text = std::fs::read_to_string(&system).unwrap();
    let library = Path::new(text.trim());
    let other = store.add("other", "nobody wants it");
    // The link of the build is a root as well.
    let (job, roots) = (store.path("result"), store.path("roots"));
    std::fs::create_dir(&roots).unwrap();
    let nix = store.nix();
    let collect = || drop(store.run("nix-store", &["--gc"]));

    collect();
    assert!(system.exists() && library.exists() && !other.exists());

    let root = nix.keep(&roots, "before", &system).await.unwrap();
    assert_eq!(root, roots.join("before"));
    assert_eq!(std::fs::read_link(&root).unwrap(), system);
    drop_root(&job).unwrap();
    collect();
    assert!(system.exists() && library.exists());

    // A root may move on to another path.
    let next = store.add("next", "");
    nix.keep(&roots, "before", &next).await.unwrap();
    collect();
    assert!(!system.exists() && !library.exists() && next.exists());

    drop_root(&root).unwrap();
    collect();
    assert!(!next.exists());
    // It is gone already.
    drop_root(&root).unwrap();
}

#[tokio::test]
async fn only_links_are_roots_and_only_what_is_there_is_kept() {
    let store = Store::new();
    let path = store.add("something", "");
    let roots = store.path("roots");
    std::fs::create_dir_all(roots.join("taken")).unwrap();
    let error = store.nix().keep(&roots, "taken", &path).await.unwrap_err().to_string();
    let expected = format!(
        "could not keep {} by the root {}: something that is no link is there; move it away",
        path.display(),
        roots.join("taken").display()
    );
    assert_eq!(error, expected);
    let error = drop_root(&roots.join("taken")).unwrap_err().to_string();
    assert!(error.ends_with("/taken: it is no link; look at what is there"), "{error}");

    let nowhere = store.path("store/00000000000000000000000000000000-nowhere");
    let error = store.nix().keep(&roots, "nowhere", &nowhere).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("could not keep {} by the root ", nowhere.display())), "{error}");
    assert!(!roots.join("nowhere").is_symlink());
}
