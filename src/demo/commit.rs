//! The commits of the demo's flake, and the packages that each one installs.
//!
//! The repository is created from this table with fixed authors and dates, so its hashes are constant. Without git, the
//! hosts run the same commits, and only the repository is missing.

use std::collections::BTreeMap;

/// Index of the newest commit on `main`.
pub(super) const HEAD: usize = 7;
/// Index of the commit with an nginx that does not build.
const BROKEN: usize = 9;
/// The branches, each with the index of its newest commit.
pub(super) const BRANCHES: [(&str, usize); 3] = [("main", HEAD), ("testing", 8), ("broken", BROKEN)];
/// Packages that only hosts of one role have.
const OF_ROLE: [(&str, &str); 3] = [("harmonia", "cache"), ("forgejo-runner", "ci"), ("unbound", "dns")];
/// The digits of nix's base 32.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// A commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// Index in [`COMMITS`]; on a branch, a newer commit has a higher one.
    pub(super) number: usize,
    pub(super) hash: &'static str,
    /// Index of the parent commit.
    pub(super) parent: Option<usize>,
    pub(super) author: &'static str,
    /// Commit date, in seconds since 1970.
    pub(super) at: i64,
    pub(super) subject: &'static str,
    /// The packages that the commit updates, with their new versions.
    changes: &'static [(&'static str, &'static str)],
}

/// All commits, by index.
pub(super) static COMMITS: [Commit; 10] = [
    Commit {
        number: 0,
        hash: "a14b79f6d8204a3eb37eee6bf70d068cc58600de",
        parent: None,
        author: "alice",
        at: 1_792_000_800,
        subject: "Hosts for caching, building, names and the web",
        changes: &[
            ("curl", "8.11.1"),
            ("forgejo-runner", "6.2.2"),
            ("git", "2.47.1"),
            ("glibc", "2.40-66"),
            ("harmonia", "2.0.1"),
            ("linux", "6.12.7"),
            ("nginx", "1.26.2"),
            ("nix", "2.24.11"),
            ("openssh", "9.9p1"),
            ("openssl", "3.3.2"),
            ("systemd", "257.2"),
            ("unbound", "1.22.0"),
        ],
    },
    Commit {
        number: 1,
        hash: "f938ea83c938c4ae486bc09625ee59f0c9a1d184",
        parent: Some(0),
        author: "bob",
        at: 1_792_605_700,
        subject: "web: log requests as JSON",
        changes: &[],
    },
    Commit {
        number: 2,
        hash: "78b86cb12baf78bcaad73f63fb4440a907696b8d",
        parent: Some(1),
        author: "ci",
        at: 1_793_210_500,
        subject: "flake.lock: update",
        changes: &[("curl", "8.12.0"), ("git", "2.47.2"), ("openssh", "9.9p2")],
    },
    Commit {
        number: 3,
        hash: "9221df147305a0e4125a8056dc4e0184b4efc251",
        parent: Some(2),
        author: "alice",
        at: 1_793_642_300,
        subject: "dns: serve lab.example.org",
        changes: &[],
    },
    Commit {
        number: 4,
        hash: "584c1ed55658a7ccf7488d6276570d92de0bbf3d",
        parent: Some(3),
        author: "ci",
        at: 1_793_988_000,
        subject: "flake.lock: update",
        changes: &[("linux", "6.12.9"), ("nginx", "1.26.3"), ("systemd", "257.3")],
    },
    Commit {
        number: 5,
        hash: "f0e5c45dc6c6a5613790e722cdc5c06dca0e0655",
        parent: Some(4),
        author: "bob",
        at: 1_794_247_100,
        subject: "ci: newer runners",
        changes: &[("forgejo-runner", "6.3.1")],
    },
    Commit {
        number: 6,
        hash: "8782436ff3467787f1c81f47674938ee7e5e99e0",
        parent: Some(5),
        author: "alice",
        at: 1_794_506_300,
        subject: "monitoring: a node exporter on every host",
        changes: &[("prometheus-node-exporter", "1.9.0")],
    },
    Commit {
        number: HEAD,
        hash: "2541e4a151a866f4f74eaf055807ca22147f75cc",
        parent: Some(6),
        author: "ci",
        at: 1_794_679_200,
        subject: "flake.lock: update",
        changes: &[
            ("curl", "8.12.1"),
            ("git", "2.48.1"),
            ("harmonia", "2.1.0"),
            ("nix", "2.24.12"),
            ("openssl", "3.3.3"),
            ("unbound", "1.22.1"),
        ],
    },
    Commit {
        number: 8,
        hash: "9f1763a1e71613f3ddef187abf65e1138d067c02",
        parent: Some(6),
        author: "alice",
        at: 1_794_582_000,
        subject: "linux: follow the 6.18 series",
        changes: &[("linux", "6.18.1"), ("systemd", "258.2")],
    },
    Commit {
        number: BROKEN,
        hash: "abd69851a3f54ee91f7e8ae27741fe60ef5c60fa",
        parent: Some(HEAD),
        author: "bob",
        at: 1_794_690_000,
        subject: "nginx: 1.28.0, with brotli",
        changes: &[("nginx", "1.28.0")],
    },
];

impl Commit {
    /// The commit for a branch or a full hash.
    pub(super) fn named(revision: &str) -> Option<&'static Self> {
        let branch = BRANCHES.iter().find(|(name, _)| *name == revision);
        match branch {
            Some((_, number)) => COMMITS.get(*number),
            None => COMMITS.iter().find(|commit| commit.hash == revision),
        }
    }

    /// Whether a package of the commit does not build.
    pub(super) fn is_broken(&self) -> bool {
        self.number == BROKEN
    }

    /// All packages of this commit, with their versions.
    pub(super) fn packages(&self) -> BTreeMap<&'static str, &'static str> {
        let mut packages = self.parent.and_then(|at| COMMITS.get(at)).map(Self::packages).unwrap_or_default();
        packages.extend(self.changes.iter().copied());
        packages
    }

    /// The packages that hosts of a role have at this commit, with their versions.
    pub(super) fn packages_of(&self, role: &str) -> BTreeMap<&'static str, &'static str> {
        let mut packages = self.packages();
        packages.retain(|name, _| OF_ROLE.iter().all(|(package, of)| package != name || *of == role));
        packages
    }

    /// Version of the kernel.
    pub(super) fn kernel(&self) -> &'static str {
        self.packages().get("linux").copied().unwrap_or_default()
    }
}

/// Hash of a text, the same in every demo.
pub(super) fn seed(text: &str) -> u64 {
    text.bytes().fold(5381, |sum: u64, byte| sum.wrapping_mul(33) ^ u64::from(byte))
}

/// Store path for this name and content.
pub(super) fn store_path(name: &str, content: &str) -> String {
    let mut random = fastrand::Rng::with_seed(seed(&format!("{name} {content}")));
    let hash: String = (0..32).map(|_| char::from(DIGITS[random.usize(..32)])).collect();
    format!("/nix/store/{hash}-{name}")
}
