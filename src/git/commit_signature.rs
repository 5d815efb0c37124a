//! The kind of a commit's signature, and the result of `git verify-commit`.

use super::last_lines;
use crate::text::printable;
use crate::unattended::ProcessOutput;

/// What kind of signature a commit carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignatureKind {
    Missing,
    Ssh,
    OpenPgp,
    /// A format that signers files do not support, such as X.509.
    Other,
}

/// The result of verifying a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verification {
    /// Valid signature by this signer, who is in the signers file.
    SignedBy(String),
    Unsigned,
    /// The signing key is not in the signers file. Describes the key.
    UnknownKey(String),
    /// The signature is not valid. Holds the reason.
    Invalid(String),
}

impl SignatureKind {
    /// Finds the signature in a commit object, as printed by `git cat-file commit`.
    pub(super) fn of(object: &str) -> Self {
        // An empty line ends the headers. The commit message could contain a line that looks like a header.
        let headers = object.split("\n\n").next().unwrap_or_default();
        let Some(first_line) = headers.lines().find_map(|line| line.strip_prefix("gpgsig ")) else {
            return Self::Missing;
        };
        match first_line.trim() {
            "-----BEGIN SSH SIGNATURE-----" => Self::Ssh,
            "-----BEGIN PGP SIGNATURE-----" | "-----BEGIN PGP MESSAGE-----" => Self::OpenPgp,
            _ => Self::Other,
        }
    }

    /// The result for a signature whose format does not match the signers file.
    pub(super) fn unverified(self) -> Verification {
        match self {
            Self::Missing => Verification::Unsigned,
            Self::Ssh => Verification::UnknownKey("an ssh key, but the file has OpenPGP keys".to_owned()),
            Self::OpenPgp => Verification::UnknownKey("an OpenPGP key, but the file has ssh keys".to_owned()),
            Self::Other => Verification::UnknownKey("a key that is neither ssh nor OpenPGP".to_owned()),
        }
    }
}

impl Verification {
    /// Parses the output of git and ssh-keygen.
    pub(super) fn from_ssh(output: &ProcessOutput) -> Self {
        let lines = || output.stderr.lines();
        let known = lines().find_map(|line| line.strip_prefix("Good \"git\" signature for "));
        let unlisted = lines().find_map(|line| line.strip_prefix("Good \"git\" signature with "));
        match (known, unlisted) {
            (Some(signer), _) if output.status.success() => Self::SignedBy(printable(signer)),
            (_, Some(key)) => Self::UnknownKey(format!("an unknown key ({})", printable(key))),
            _ => Self::invalid(output),
        }
    }

    /// Parses the status lines of gpg.
    pub(super) fn from_gpg(output: &ProcessOutput) -> Self {
        let status = |keyword: &str| {
            let lines = output.stderr.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
            lines
                .filter_map(|line| line.split_once(' '))
                .find(|(word, _)| *word == keyword)
                .map(|(_, rest)| rest)
        };
        let user = |rest: &str| printable(rest.split_once(' ').map_or(rest, |(_, user)| user));
        if let Some(rest) = status("GOODSIG").filter(|_| output.status.success()) {
            let key = status("VALIDSIG").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            return Self::SignedBy(format!("{} with OpenPGP key {}", user(rest), printable(key)));
        }
        if let Some(key) = status("NO_PUBKEY") {
            return Self::UnknownKey(format!("an unknown key (OpenPGP {})", printable(key)));
        }
        for (keyword, what) in [
            ("BADSIG", "it does not match the commit"),
            ("EXPKEYSIG", "the key has expired"),
            ("EXPSIG", "it has expired"),
            ("REVKEYSIG", "the key was revoked"),
        ] {
            if let Some(rest) = status(keyword) {
                return Self::Invalid(format!("{what} (key of {})", user(rest)));
            }
        }
        Self::invalid(output)
    }

    fn invalid(output: &ProcessOutput) -> Self {
        let message = last_lines(&output.stderr);
        Self::Invalid(message.unwrap_or_else(|| format!("git ended with {}", output.status)))
    }
}

#[cfg(test)]
mod tests {
    use super::SignatureKind;

    #[test]
    fn only_a_header_counts_as_a_signature() {
        let commit =
            |header: &str, message: &str| format!("tree 1\nauthor a\ncommitter a\n{header}\n{message}\n");
        for (object, kind) in [
            (commit("", "gpgsig -----BEGIN SSH SIGNATURE-----"), SignatureKind::Missing),
            (commit("gpgsig -----BEGIN SSH SIGNATURE-----\n U1N\n", "x"), SignatureKind::Ssh),
            (commit("gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ\n", "x"), SignatureKind::OpenPgp),
            (commit("gpgsig -----BEGIN SIGNED MESSAGE-----\n MII\n", "x"), SignatureKind::Other),
        ] {
            assert_eq!(SignatureKind::of(&object), kind, "{object}");
        }
    }
}
