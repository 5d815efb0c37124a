//! The signature of a commit: of which kind it is, and what `git verify-commit` says of it.

use super::process::Ended;
use super::remote::last_lines;
use crate::protocol::printable;

/// What kind of signature a commit carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    Missing,
    Ssh,
    OpenPgp,
    /// One that no signers file can be for, such as X.509.
    Other,
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verified {
    /// A valid signature by this signer, who is in the file.
    By(String),
    Unsigned,
    /// A signature by a key that is not in the file.
    Unknown(String),
    /// A signature that is not valid, and why.
    Invalid(String),
}

impl Signature {
    /// The signature in a commit object, as `git cat-file commit` prints it.
    pub(super) fn of(object: &str) -> Self {
        // An empty line ends the headers; the message could quote one.
        let headers = object.split("\n\n").next().unwrap_or_default();
        let Some(begin) = headers.lines().find_map(|line| line.strip_prefix("gpgsig ")) else {
            return Self::Missing;
        };
        match begin.trim() {
            "-----BEGIN SSH SIGNATURE-----" => Self::Ssh,
            "-----BEGIN PGP SIGNATURE-----" | "-----BEGIN PGP MESSAGE-----" => Self::OpenPgp,
            _ => Self::Other,
        }
    }

    /// What one is worth that the file is not for.
    pub(super) fn unverified(self) -> Verified {
        match self {
            Self::Missing => Verified::Unsigned,
            Self::Ssh => Verified::Unknown("an ssh key, and the file has OpenPGP keys".to_owned()),
            Self::OpenPgp => Verified::Unknown("an OpenPGP key, and the file has ssh keys".to_owned()),
            Self::Other => Verified::Unknown("a key that is neither of ssh nor of OpenPGP".to_owned()),
        }
    }
}

impl Verified {
    /// Reads what git and ssh-keygen say.
    pub(super) fn by_ssh(ended: &Ended) -> Self {
        let lines = || ended.stderr.lines();
        let known = lines().find_map(|line| line.strip_prefix("Good \"git\" signature for "));
        let stranger = lines().find_map(|line| line.strip_prefix("Good \"git\" signature with "));
        match (known, stranger) {
            (Some(signer), _) if ended.status.success() => Self::By(printable(signer)),
            (_, Some(key)) => Self::Unknown(format!("an unknown key ({})", printable(key))),
            _ => Self::invalid(ended),
        }
    }

    /// Reads the status lines of gpg.
    pub(super) fn by_gpg(ended: &Ended) -> Self {
        let status = |keyword: &str| {
            let lines = ended.stderr.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
            lines
                .filter_map(|line| line.split_once(' '))
                .find(|(word, _)| *word == keyword)
                .map(|(_, rest)| rest)
        };
        let user = |rest: &str| printable(rest.split_once(' ').map_or(rest, |(_, user)| user));
        if let Some(rest) = status("GOODSIG").filter(|_| ended.status.success()) {
            let key = status("VALIDSIG").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            return Self::By(format!("{} with OpenPGP key {}", user(rest), printable(key)));
        }
        if let Some(key) = status("NO_PUBKEY") {
            return Self::Unknown(format!("an unknown key (OpenPGP {})", printable(key)));
        }
        for (keyword, what) in [
            ("BADSIG", "it does not fit the commit"),
            ("EXPKEYSIG", "the key has expired"),
            ("EXPSIG", "it has expired"),
            ("REVKEYSIG", "the key was revoked"),
        ] {
            if let Some(rest) = status(keyword) {
                return Self::Invalid(format!("{what} (key of {})", user(rest)));
            }
        }
        Self::invalid(ended)
    }

    fn invalid(ended: &Ended) -> Self {
        let said = last_lines(&ended.stderr);
        Self::Invalid(said.unwrap_or_else(|| format!("git ended with {}", ended.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::Signature;

    #[test]
    fn only_a_header_is_a_signature() {
        let commit =
            |header: &str, message: &str| format!("tree 1\nauthor a\ncommitter a\n{header}\n{message}\n");
        for (object, kind) in [
            (commit("", "gpgsig -----BEGIN SSH SIGNATURE-----"), Signature::Missing),
            (commit("gpgsig -----BEGIN SSH SIGNATURE-----\n U1N\n", "x"), Signature::Ssh),
            (commit("gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n", "x"), Signature::OpenPgp),
            (commit("gpgsig -----BEGIN SIGNED MESSAGE-----\n MII\n", "x"), Signature::Other),
        ] {
            assert_eq!(Signature::of(&object), kind, "{object}");
        }
    }
}
