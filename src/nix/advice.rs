//! What to do about errors that neither the flake nor its server caused: nix is not set up, its daemon refuses this user, or the
//! sandbox denies access.

use crate::git::is_denied;

/// Lower-case fragments of the messages of a nix that is not set up.
const NOT_SET_UP: [&str; 4] = [
    "cannot connect to socket at",
    "cannot open connection to remote store 'daemon'",
    "in 'build-users-group'",
    "the build users group",
];

/// Messages if the daemon closes the connection of a user that is not in `allowed-users`. Only the daemon's log has the reason.
const ENDED: [&str; 4] =
    ["connection reset by peer", "broken pipe", "unexpected end-of-file", "unexpected eof"];

/// What to do if nix is denied access to a file.
const SANDBOX_ADVICE: &str = "nix runs in a sandbox: pass the paths that the flake needs on this machine with --nix-may-read, if all of its inputs may read them";

/// What to do if nix cannot create its own sandbox for builds.
const NESTED_SANDBOX_ADVICE: &str = "nix cannot create its own sandbox within this one: build with nix-daemon, or set `sandbox = false` in nix's \
                      settings, so that only this sandbox keeps builds from credentials";

/// What to do about an error that the flake did not cause; `None` for other errors.
pub(super) fn daemon_advice(error: &str) -> Option<&'static str> {
    let error = error.to_lowercase();
    let contains_any = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if !contains_any(&NOT_SET_UP) {
        return None;
    }
    Some(if contains_any(&ENDED) {
        "nix-daemon closes the connection of a user that it does not allow: add the user of this service to allowed-users in its \
         settings (nix.settings.allowed-users on NixOS)"
    } else {
        "check the nix installation there (nix-daemon, the group nixbld)"
    })
}

/// What to do about an error that the sandbox can be the cause of; `None` for other errors.
pub(super) fn sandbox_advice(error: &str) -> Option<&'static str> {
    let error = error.to_lowercase();
    // The kernel forbids mounts in a Landlock sandbox.
    if error.contains("/uid_map") || error.contains("mount") && error.contains("not permitted") {
        return Some(NESTED_SANDBOX_ADVICE);
    }
    // git prints this about a repository whose files it cannot open.
    let is_unread = error.contains("not a git repository");
    (is_unread || is_denied(&error)).then_some(SANDBOX_ADVICE)
}
