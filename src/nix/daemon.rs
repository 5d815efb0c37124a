//! What nix says if it is not set up on a machine, or if its daemon does not take this user.

/// What nix says, in lower case, if it is not set up: no fault of the flake.
const NOT_SET_UP: [&str; 4] = [
    "cannot connect to socket at",
    "cannot open connection to remote store 'daemon'",
    "in 'build-users-group'",
    "the build users group",
];

/// How a daemon ends the connection of a user that is not among `allowed-users`. It says why in its own log only.
const ENDED: [&str; 4] =
    ["connection reset by peer", "broken pipe", "unexpected end-of-file", "unexpected eof"];

/// What to do about a complaint of nix that its flake is no reason of.
pub(super) fn advice(complaint: &str) -> Option<&'static str> {
    let complaint = complaint.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| complaint.contains(word));
    if !says(&NOT_SET_UP) {
        return None;
    }
    Some(if says(&ENDED) {
        "nix-daemon ends the connection of a user that it does not allow: add the user of this service to allowed-users in its \
         settings (nix.settings.allowed-users on NixOS)"
    } else {
        "check its installation there (nix-daemon, the group nixbld)"
    })
}
