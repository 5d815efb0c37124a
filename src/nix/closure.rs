//! What a system consists of, and how two systems differ.

mod package;

use super::call::{Nix, NixCause, NixError, call};
use crate::protocol::{Changes, PackageChange};
use package::package;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The most that is read of what nix tells of a closure, in bytes; a large desktop has some megabytes.
const MAX_OUTPUT: u64 = 256 << 20;

/// A store path with all it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// The versions of each package. Paths without a version, such as unit files, are no packages.
    pub packages: BTreeMap<String, BTreeSet<String>>,
    /// The size of all paths, in bytes.
    pub bytes: u64,
}

impl Nix {
    /// Reads the closure of a store path that is here.
    pub async fn closure(&self, store_path: &Path) -> Result<Closure, NixError> {
        let read = async {
            let mut command = self.nix();
            command.args(["path-info", "--recursive", "--json"]).arg(store_path);
            closure(&call(command, MAX_OUTPUT).await?)
        };
        read.await.map_err(|cause| cause.when(format!("read the closure of {}", store_path.display())))
    }
}

impl Closure {
    /// What changes from this closure to `new`: packages by name, all their versions before and after.
    pub fn changes(&self, new: &Self) -> Changes {
        let names: BTreeSet<&String> = self.packages.keys().chain(new.packages.keys()).collect();
        let versions = |of: &Self, name: &str| {
            let versions: Vec<&str> = of.packages.get(name)?.iter().map(String::as_str).collect();
            Some(versions.join(", "))
        };
        let mut packages = Vec::new();
        for name in names {
            let (from, to) = (versions(self, name), versions(new, name));
            if from != to {
                packages.push(PackageChange { name: name.clone(), from, to });
            }
        }
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let bytes = signed(new.bytes) - signed(self.bytes);
        Changes { packages, bytes: Some(bytes), ..Changes::default() }
    }
}

/// Reads the JSON of `nix path-info`: a list of paths in nix 2.8, an object by path since 2.19.
fn closure(json: &str) -> Result<Closure, NixCause> {
    let odd = |error: &dyn std::fmt::Display| NixCause::Odd(format!("nix told it in no known way: {error}"));
    let mut closure = Closure::default();
    let mut add = |path: &str, info: &Value| {
        let bytes = info["narSize"].as_u64().ok_or_else(|| odd(&format!("{path} has no size")))?;
        closure.bytes = closure.bytes.saturating_add(bytes);
        if let Some((name, version)) = package(path) {
            closure.packages.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
        Ok::<(), NixCause>(())
    };
    match serde_json::from_str(json).map_err(|error| odd(&error))? {
        Value::Array(paths) => paths
            .iter()
            .try_for_each(|info| add(info["path"].as_str().ok_or_else(|| odd(&"no path"))?, info))?,
        Value::Object(paths) => paths.iter().try_for_each(|(path, info)| add(path, info))?,
        _ => return Err(odd(&"neither a list nor an object")),
    }
    Ok(closure)
}

#[cfg(test)]
mod tests {
    use super::{Closure, closure};
    use crate::protocol::PackageChange;

    const OLD: &str = r#"[{"path":"/nix/store/00000000000000000000000000000000-bash-5.2p37","narSize":7},
        {"path":"/nix/store/00000000000000000000000000000000-unit-a.service","narSize":1}]"#;
    const NEW: &str = r#"{"/nix/store/00000000000000000000000000000000-bash-5.2p37":{"narSize":7},
        "/nix/store/00000000000000000000000000000000-unit-a.service":{"narSize":1}}"#;

    #[test]
    fn the_list_of_old_nix_and_the_object_of_new_nix_are_the_same() {
        let (old, new) = (closure(OLD).unwrap(), closure(NEW).unwrap());
        assert_eq!(old, new);
        assert_eq!(old.bytes, 8);
        assert_eq!(old.packages.keys().collect::<Vec<_>>(), ["bash"]);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (json, said) in [
            ("x", "nix told it in no known way: expected value at line 1 column 1"),
            ("1", "nix told it in no known way: neither a list nor an object"),
            ("[{}]", "nix told it in no known way: no path"),
            (r#"{"/nix/store/x":null}"#, "nix told it in no known way: /nix/store/x has no size"),
        ] {
            assert_eq!(closure(json).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn every_version_of_a_package_is_told() {
        let of = |packages: &[(&str, &[&str])], bytes| {
            let versions = |versions: &[&str]| versions.iter().map(|text| (*text).to_owned()).collect();
            let packages = packages.iter().map(|(name, all)| ((*name).to_owned(), versions(all))).collect();
            Closure { packages, bytes }
        };
        let old = of(&[("gone", &["1"]), ("lib", &["1", "2"]), ("same", &["3"])], 10);
        let new = of(&[("added", &["4"]), ("lib", &["2", "3"]), ("same", &["3"])], 4);
        let changes = old.changes(&new);
        let change = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let expected = [
            change("added", None, Some("4")),
            change("gone", Some("1"), None),
            change("lib", Some("1, 2"), Some("2, 3")),
        ];
        assert_eq!(changes.packages, expected);
        assert_eq!(changes.bytes, Some(-6));
        assert!(old.changes(&old).packages.is_empty());
    }
}
