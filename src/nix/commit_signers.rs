//! Whose signatures make a commit one that a host deploys: a file of allowed ssh keys, or of keys of gpg.

use super::commit_cache::CommitCache;
use super::commit_signature::{Signature, Verified};
use super::process::{self, Ended};
use super::{CommitRefused, ResolveError, remote};
use crate::protocol::printable;
use crate::temporary::Temporary;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The largest file that is read, and the most that is read of what git and gpg print, in bytes.
const MAX: u64 = 4 << 20;
/// How many signers a message names.
const NAMED: usize = 5;
/// What gpg must not do: decide whom to trust, for the file does, or ask other machines for keys.
const GPG_CONF: &str = "trust-model always\nno-auto-key-retrieve\nno-autostart\n";

/// Why signatures cannot be verified here.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// The file cannot be used.
    #[error(
        "the signers file {} cannot be used: {reason}; expected lines of ssh keys as in ALLOWED SIGNERS of ssh-keygen(1), or the \
         output of `gpg --export`", path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The program that verifies is missing.
    #[error(
        "could not verify the signature of commit {commit}: {program} is not installed here; put it on the service's PATH"
    )]
    NoProgram {
        /// The commit.
        commit: String,
        /// The program.
        program: &'static str,
    },
    /// A program could not be run.
    #[error("could not verify the signature of commit {commit}: {source}; try again")]
    Io {
        /// The commit.
        commit: String,
        /// What the system said.
        source: io::Error,
    },
}

/// The kind of keys in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Ssh,
    OpenPgp,
}

/// A file of signers. It is read again for each commit, so that a change needs no restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSigners {
    file: PathBuf,
}

impl CommitSigners {
    /// The signers in this file, given by its absolute path. It must be one that can be used now.
    pub fn new(file: PathBuf) -> Result<Self, SignersError> {
        let signers = Self { file };
        signers.read()?;
        Ok(signers)
    }

    /// Verifies the signature of a commit that is in the cache; gives who signed it, as a sentence.
    pub(super) async fn verify(&self, cache: &CommitCache<'_>, commit: &str) -> Result<String, ResolveError> {
        let (keys, bytes) = self.read()?;
        let mut git = cache.git();
        git.args(["cat-file", "commit", commit]);
        let object = process::run(git, MAX).await.map_err(|source| cache.failed(source))?;
        let signature = Signature::of(&object.stdout);
        let (verified, expected) = match keys {
            Keys::Ssh => {
                let expected = principals(&String::from_utf8_lossy(&bytes));
                let verified = match signature {
                    Signature::Ssh => self.verify_ssh(cache, commit).await?,
                    other => other.unverified(),
                };
                (verified, expected)
            }
            Keys::OpenPgp => {
                let keyring = self.keyring(commit).await?;
                let verified = match signature {
                    Signature::OpenPgp => verify_openpgp(cache, commit, &keyring.home).await?,
                    other => other.unverified(),
                };
                (verified, keyring.users)
            }
        };
        let (commit, expected) = (commit.to_owned(), expected_of(&expected, &self.file));
        Err(match verified {
            Verified::By(signer) => return Ok(format!("commit {commit} is signed by {signer}")),
            Verified::Unsigned => CommitRefused::NotSigned { commit, expected },
            Verified::Unknown(signer) => CommitRefused::UnknownSigner { commit, signer, expected },
            Verified::Invalid(reason) => CommitRefused::BadSignature { commit, reason, expected },
        }
        .into())
    }

    fn read(&self) -> Result<(Keys, Vec<u8>), SignersError> {
        let wrong = |reason: &str| SignersError::File { path: self.file.clone(), reason: reason.to_owned() };
        let size = fs::metadata(&self.file).map_err(|error| wrong(&error.to_string()))?.len();
        if size > MAX {
            return Err(wrong("it is larger than 4 MiB"));
        }
        let bytes = fs::read(&self.file).map_err(|error| wrong(&error.to_string()))?;
        let keys = keys(&bytes).map_err(wrong)?;
        Ok((keys, bytes))
    }

    async fn verify_ssh(&self, cache: &CommitCache<'_>, commit: &str) -> Result<Verified, SignersError> {
        let mut git = cache.git();
        let allowed = format!("gpg.ssh.allowedSignersFile={}", self.file.display());
        // A key that is not listed has a valid signature too, of undefined trust.
        git.args(["-c", &allowed, "-c", "gpg.minTrustLevel=fully", "verify-commit", "--raw", commit]);
        Ok(Verified::by_ssh(&ran(git, commit, "ssh-keygen").await?))
    }

    /// Reads the keys into an empty keyring, which is gone with what is given back.
    async fn keyring(&self, commit: &str) -> Result<Keyring, SignersError> {
        let failed = |source| SignersError::Io { commit: commit.to_owned(), source };
        let home = Temporary::new("homelab-deploy-signers").map_err(failed)?;
        fs::write(home.path().join("gpg.conf"), GPG_CONF).map_err(failed)?;
        let gpg = || {
            let mut gpg = process::command("gpg");
            gpg.arg("--homedir").arg(home.path()).args(["--batch", "--no-tty", "--quiet"]);
            gpg
        };
        let mut import = gpg();
        import.arg("--import").arg(&self.file);
        let imported = ran(import, commit, "gpg").await?;
        let mut list = gpg();
        list.args(["--with-colons", "--list-keys"]);
        let listed = ran(list, commit, "gpg").await?;
        let users: Vec<_> = listed
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("uid:"))
            .filter_map(|line| line.split(':').nth(8))
            .map(printable)
            .collect();
        if !listed.stdout.lines().any(|line| line.starts_with("pub:")) {
            let said = remote::last_lines(&imported.stderr);
            let reason = said.unwrap_or_else(|| "gpg finds no public key in it".to_owned());
            return Err(SignersError::File { path: self.file.clone(), reason });
        }
        Ok(Keyring { home, users })
    }
}

/// A keyring with the keys of the file alone.
struct Keyring {
    home: Temporary,
    users: Vec<String>,
}

async fn verify_openpgp(
    cache: &CommitCache<'_>,
    commit: &str,
    home: &Temporary,
) -> Result<Verified, SignersError> {
    let mut git = cache.git();
    git.env("GNUPGHOME", home.path()).args(["-c", "gpg.program=gpg", "-c", "gpg.openpgp.program=gpg"]);
    git.args(["-c", "gpg.minTrustLevel=undefined", "verify-commit", "--raw", commit]);
    Ok(Verified::by_gpg(&ran(git, commit, "gpg").await?))
}

/// Runs a program that calls `verifier`, or is it.
async fn ran(
    command: tokio::process::Command,
    commit: &str,
    verifier: &'static str,
) -> Result<Ended, SignersError> {
    let missing = || SignersError::NoProgram { commit: commit.to_owned(), program: verifier };
    match process::run(command, MAX).await {
        Ok(ended) if ended.stderr.contains(&format!("cannot run {verifier}")) => Err(missing()),
        Ok(ended) => Ok(ended),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(source) => Err(SignersError::Io { commit: commit.to_owned(), source }),
    }
}

fn keys(bytes: &[u8]) -> Result<Keys, &'static str> {
    const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    if bytes.get(8..12) == Some(b"KBXf") {
        return Err("it is a keybox of gpg");
    }
    // The first byte of a packet (RFC 9580, section 4.2); no character of a text in ASCII has this bit.
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(Keys::OpenPgp);
    }
    let Ok(text) = str::from_utf8(bytes) else { return Err("it is neither text nor an OpenPGP key") };
    if text.lines().any(|line| line.trim() == ARMOR) {
        return Ok(Keys::OpenPgp);
    }
    if text.contains("-----BEGIN ") {
        return Err("it holds something else than public keys");
    }
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    if lines.peek().is_none() {
        return Err("it is empty");
    }
    if lines.all(is_allowed_signer) {
        Ok(Keys::Ssh)
    } else {
        Err("a line of it is not a signer and an ssh key")
    }
}

/// `PRINCIPALS [OPTIONS] KEYTYPE KEY`
fn is_allowed_signer(line: &str) -> bool {
    let is_type = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
    let words: Vec<&str> = line.split_whitespace().collect();
    // A line of `authorized_keys` begins with the type: nobody would be allowed by it.
    let at = words.iter().position(|word| is_type(word));
    at.is_some_and(|at| at > 0 && words.get(at + 1).is_some_and(|key| key.starts_with("AAAA")))
}

fn principals(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).map(printable).collect()
}

fn expected_of(names: &[String], file: &Path) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(&name.as_str()) {
            unique.push(name);
        }
    }
    if unique.is_empty() {
        return format!("a key in {}", file.display());
    }
    let mut text = unique[..unique.len().min(NAMED)].join(", ");
    if let Some(more) = unique.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = write!(text, " or {more} more in {}", file.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Keys, expected_of, keys};
    use std::path::Path;

    #[test]
    fn the_kind_of_a_file_is_what_is_in_it() {
        for (text, kind) in [
            (&b"a@b ssh-ed25519 AAAAC3 x\n"[..], Ok(Keys::Ssh)),
            (b"# team\n\n*@b,c namespaces=\"git\" ecdsa-sha2-nistp256 AAAAE2\n", Ok(Keys::Ssh)),
            (b"a sk-ssh-ed25519@openssh.com AAAAGn\n", Ok(Keys::Ssh)),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDM\n", Ok(Keys::OpenPgp)),
            (b"\x98\x33\x04", Ok(Keys::OpenPgp)),
            (b"\xc6\x33\x04", Ok(Keys::OpenPgp)),
            (b"", Err("it is empty")),
            (b"# nothing\n", Err("it is empty")),
            (b"ssh-ed25519 AAAAC3 a@b\n", Err("a line of it is not a signer and an ssh key")),
            (b"a@b ssh-ed25519 AAAAC3\nhello\n", Err("a line of it is not a signer and an ssh key")),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", Err("it holds something else than public keys")),
            (b"\0\0\0\x20\x01\x01\0\x02KBXf", Err("it is a keybox of gpg")),
        ] {
            assert_eq!(keys(text), kind, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn expected_signers_are_named_once_and_at_most_five() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let file = Path::new("/etc/signers");
        assert_eq!(expected_of(&names(&["a", "b", "a"]), file), "a, b");
        assert_eq!(
            expected_of(&names(&["a", "b", "c", "d", "e", "f"]), file),
            "a, b, c, d, e or 1 more in /etc/signers"
        );
        assert_eq!(expected_of(&[], file), "a key in /etc/signers");
    }
}
