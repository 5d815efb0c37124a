//! The package in the name of a store path.

/// Name and version of the package of a store path, as `nix store diff-closures` reads them: the version begins at the
/// first dash that no letter follows, and a word of letters behind it, such as `-bin`, is an output. Nothing where the
/// name has no version.
pub(super) fn package(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit('/').next()?;
    // The hash is 32 characters.
    let name = file.get(32..)?.strip_prefix('-')?;
    let (name, version) = split(name)?;
    match version.rsplit_once('-') {
        Some((version, output)) if is_output(output) => Some((name, version)),
        _ => Some((name, version)),
    }
}

fn split(name: &str) -> Option<(&str, &str)> {
    let dash = name
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| name[at + 1..].chars().next().is_some_and(|next| !next.is_ascii_alphabetic()))?;
    Some((&name[..dash], &name[dash + 1..]))
}

fn is_output(word: &str) -> bool {
    let letters = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    letters || word == "lib32" || word == "lib64"
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn the_version_begins_at_the_first_dash_that_no_letter_follows() {
        for (name, expected) in [
            ("bash-5.2p37", Some(("bash", "5.2p37"))),
            ("openssl-3.0.13-bin", Some(("openssl", "3.0.13"))),
            ("glibc-2.40-66-lib32", Some(("glibc", "2.40-66"))),
            ("linux-6.12.9-modules-shrunk", Some(("linux", "6.12.9-modules"))),
            ("gcc-13.3.0-lib", Some(("gcc", "13.3.0"))),
            ("python3.12-requests-2.32.3", Some(("python3.12-requests", "2.32.3"))),
            ("nixos-system-web-26.05.20260101.abcdef0", Some(("nixos-system-web", "26.05.20260101.abcdef0"))),
            ("perl5.40.0-URI-5.21", Some(("perl5.40.0-URI", "5.21"))),
            ("neovim-unwrapped-0.10.2", Some(("neovim-unwrapped", "0.10.2"))),
            ("foo-unstable-2024-01-02", Some(("foo-unstable", "2024-01-02"))),
            ("foo-0-unstable-2024-01-02", Some(("foo", "0-unstable-2024-01-02"))),
            ("x-_1", Some(("x", "_1"))),
            ("unit-nginx.service", None),
            ("etc-fstab", None),
            ("system-path", None),
            ("trailing-", None),
        ] {
            let path = format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}");
            assert_eq!(package(&path), expected, "{name}");
        }
        for odd in ["", "/nix/store/short-1.0", "/nix/store/é-0123456789abcdfghijklmnpqrsvwxyz-x-1"] {
            assert_eq!(package(odd), None, "{odd}");
        }
    }
}
