//! The closures of two real systems and their differences.

use crate::store::Store;
use homelab_deploy::protocol::PackageChange;

fn change(name: &str, from: Option<&str>, to: Option<&str>) -> PackageChange {
    PackageChange { name: name.to_owned(), from: from.map(str::to_owned), to: to.map(str::to_owned) }
}

#[tokio::test]
async fn packages_and_bytes_show_how_two_systems_differ() {
    let store = Store::new();
    store.hosts(
        r#"
    old = sh "nixos-system-web-1" "echo '${sh "linux-6.12.8" "echo > $out"} ${sh "unit-a.service" "echo > $out"}
      ${sh "openssl-3.0.13-bin" "echo > $out"} ${sh "git-2.49" "echo > $out"} ${sh "same-1" "echo > $out"}' > $out";
    new = sh "nixos-system-web-2" "echo '${sh "linux-6.12.9" "printf %2000s x > $out"} ${sh "unit-b.service" "echo > $out"}
      ${sh "openssl-3.0.14-bin" "echo > $out"} ${sh "python3-3.13" "echo > $out"} ${sh "same-1" "echo > $out"}' > $out";
"#,
    );
    let (old, new) = (store.system("old").await, store.system("new").await);
    let nix = store.nix();
    let (from, to) = (nix.closure(&old).await.unwrap(), nix.closure(&new).await.unwrap());
    let changes = from.changes(&to);
    assert_eq!(
        changes.packages,
        [
            change("git", Some("2.49"), None),
            change("linux", Some("6.12.8"), Some("6.12.9")),
            change("nixos-system-web", Some("1"), Some("2")),
            change("openssl", Some("3.0.13"), Some("3.0.14")),
            change("python3", None, Some("3.13")),
        ]
    );
    // nix pads archives to 8 bytes, and the package names have different lengths.
    let bytes = changes.bytes.unwrap();
    assert!((1990..=2016).contains(&bytes), "{bytes}");
    assert_eq!(to.changes(&from).bytes, Some(-bytes));
    assert_eq!(from.changes(&from).packages, []);
    assert_eq!(from.changes(&from).bytes, Some(0));
}

#[tokio::test]
async fn a_missing_path_is_reported() {
    let store = Store::new();
    store.add("something", "");
    let nowhere = store.path("store/00000000000000000000000000000000-nowhere");
    let error = store.nix().closure(&nowhere).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("could not read the closure of {}: ", nowhere.display())), "{error}");
    assert!(error.contains("is not valid"), "{error}");
}
