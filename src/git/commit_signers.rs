//! Verifies commit signatures against a file of allowed ssh or OpenPGP keys.

use super::commit_cache::CommitCache;
use super::commit_signature::{SignatureKind, Verification};
use super::{CommitRefused, ResolveError, last_lines};
use crate::private_file;
use crate::text::printable;
use crate::unattended::{ProcessOutput, captured, run};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};
use tempfile::TempDir;

/// Maximum size of the signers file, and of the output of git and gpg, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Maximum number of signers that a message names.
const MAX_NAMED: usize = 5;
/// Keeps gpg from deciding which keys to trust, which the file does, and from fetching keys from other machines.
const GPG_CONF: &str = "trust-model always\nno-auto-key-retrieve\nno-autostart\n";

/// Why signatures cannot be verified on this host.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// The signers file is unusable.
    #[error(
        "the signers file {} cannot be used: {reason}; expected ssh keys as described in ALLOWED SIGNERS of ssh-keygen(1), or the \
         output of `gpg --export`", path.display()
    )]
    File {
        /// The path of the signers file.
        path: PathBuf,
        /// Why the file is unusable.
        reason: String,
    },
    /// The verifying program is not installed.
    #[error(
        "could not verify the signature of commit {commit}: {program} is not installed here; put it on the service's PATH"
    )]
    NoProgram {
        /// The commit to verify.
        commit: String,
        /// The name of the program.
        program: &'static str,
    },
    /// A program could not be run.
    #[error("could not verify the signature of commit {commit}: {source}; try again")]
    Io {
        /// The commit to verify.
        commit: String,
        /// The operating system's error.
        source: io::Error,
    },
}

/// The format of the keys in a signers file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyFormat {
    Ssh,
    OpenPgp,
}

/// A file of signers. It is read for each commit, so that changes need no restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSigners {
    file: PathBuf,
}

impl CommitSigners {
    /// Uses the signers in `file`, an absolute path. Returns an error if the file is unusable.
    pub fn new(file: PathBuf) -> Result<Self, SignersError> {
        let signers = Self { file };
        signers.read()?;
        Ok(signers)
    }

    /// Verifies the signature of a commit in the cache. Returns a sentence that names the signer.
    pub(super) async fn verify(&self, cache: &CommitCache<'_>, commit: &str) -> Result<String, ResolveError> {
        let (format, bytes) = self.read()?;
        let mut git = cache.git();
        git.args(["cat-file", "commit", commit]);
        let object = run(git, MAX_BYTES).await.map_err(|source| cache.failed(source))?;
        let signature = SignatureKind::of(&object.stdout);
        let (verified, expected) = match format {
            KeyFormat::Ssh => {
                let expected = principals(&String::from_utf8_lossy(&bytes));
                let verified = match signature {
                    SignatureKind::Ssh => self.verify_ssh(cache, commit).await?,
                    other => other.unverified(),
                };
                (verified, expected)
            }
            KeyFormat::OpenPgp => {
                let keyring = self.keyring(commit).await?;
                let verified = match signature {
                    SignatureKind::OpenPgp => verify_openpgp(cache, commit, &keyring.home).await?,
                    other => other.unverified(),
                };
                (verified, keyring.users)
            }
        };
        let (commit, expected) = (commit.to_owned(), describe_signers(&expected, &self.file));
        Err(match verified {
            Verification::SignedBy(signer) => return Ok(format!("commit {commit} is signed by {signer}")),
            Verification::Unsigned => CommitRefused::NotSigned { commit, expected },
            Verification::UnknownKey(signer) => CommitRefused::UnknownSigner { commit, signer, expected },
            Verification::Invalid(reason) => CommitRefused::BadSignature { commit, reason, expected },
        }
        .into())
    }

    fn read(&self) -> Result<(KeyFormat, Vec<u8>), SignersError> {
        let wrong = |reason: &str| SignersError::File { path: self.file.clone(), reason: reason.to_owned() };
        let size = fs::metadata(&self.file).map_err(|error| wrong(&error.to_string()))?.len();
        if size > MAX_BYTES {
            return Err(wrong("it is larger than 4 MiB"));
        }
        let bytes = fs::read(&self.file).map_err(|error| wrong(&error.to_string()))?;
        let format = detect_format(&bytes).map_err(wrong)?;
        Ok((format, bytes))
    }

    async fn verify_ssh(&self, cache: &CommitCache<'_>, commit: &str) -> Result<Verification, SignersError> {
        let mut git = cache.git();
        let allowed = format!("gpg.ssh.allowedSignersFile={}", self.file.display());
        // Without the minimum, git accepts valid signatures by unlisted keys, with undefined trust.
        git.args(["-c", &allowed, "-c", "gpg.minTrustLevel=fully", "verify-commit", "--raw", commit]);
        Ok(Verification::from_ssh(&run_verifier(git, commit, "ssh-keygen").await?))
    }

    /// Imports the keys into a temporary keyring, which is removed when the result is dropped.
    async fn keyring(&self, commit: &str) -> Result<Keyring, SignersError> {
        let failed = |source| SignersError::Io { commit: commit.to_owned(), source };
        let home = private_file::temporary_dir("homelab-deploy-signers").map_err(failed)?;
        fs::write(home.path().join("gpg.conf"), GPG_CONF).map_err(failed)?;
        let gpg = || {
            let mut gpg = captured("gpg");
            gpg.arg("--homedir").arg(home.path()).args(["--batch", "--no-tty", "--quiet"]);
            gpg
        };
        let mut import = gpg();
        import.arg("--import").arg(&self.file);
        let imported = run_verifier(import, commit, "gpg").await?;
        let mut list = gpg();
        list.args(["--with-colons", "--list-keys"]);
        let listed = run_verifier(list, commit, "gpg").await?;
        let users: Vec<_> = listed
            .stdout
            .lines()
            .filter_map(|line| line.strip_prefix("uid:"))
            .filter_map(|line| line.split(':').nth(8))
            .map(printable)
            .collect();
        if !listed.stdout.lines().any(|line| line.starts_with("pub:")) {
            let message = last_lines(&imported.stderr);
            let reason = message.unwrap_or_else(|| "gpg finds no public key in it".to_owned());
            return Err(SignersError::File { path: self.file.clone(), reason });
        }
        Ok(Keyring { home, users })
    }
}

/// A temporary keyring with only the keys of the file.
struct Keyring {
    home: TempDir,
    users: Vec<String>,
}

async fn verify_openpgp(
    cache: &CommitCache<'_>,
    commit: &str,
    home: &TempDir,
) -> Result<Verification, SignersError> {
    let mut git = cache.git();
    git.env("GNUPGHOME", home.path()).args(["-c", "gpg.program=gpg", "-c", "gpg.openpgp.program=gpg"]);
    git.args(["-c", "gpg.minTrustLevel=undefined", "verify-commit", "--raw", commit]);
    Ok(Verification::from_gpg(&run_verifier(git, commit, "gpg").await?))
}

/// Runs `verifier`, or a program that calls it.
async fn run_verifier(
    command: tokio::process::Command,
    commit: &str,
    verifier: &'static str,
) -> Result<ProcessOutput, SignersError> {
    let missing = || SignersError::NoProgram { commit: commit.to_owned(), program: verifier };
    match run(command, MAX_BYTES).await {
        Ok(output) if output.stderr.contains(&format!("cannot run {verifier}")) => Err(missing()),
        Ok(output) => Ok(output),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(source) => Err(SignersError::Io { commit: commit.to_owned(), source }),
    }
}

fn detect_format(bytes: &[u8]) -> Result<KeyFormat, &'static str> {
    const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
    if bytes.get(8..12) == Some(b"KBXf") {
        return Err("it is a gpg keybox");
    }
    // The first byte of a packet has this bit (RFC 9580, section 4.2), which no ASCII character has.
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        return Ok(KeyFormat::OpenPgp);
    }
    let Ok(text) = str::from_utf8(bytes) else { return Err("it is neither text nor an OpenPGP key") };
    if text.lines().any(|line| line.trim() == ARMOR) {
        return Ok(KeyFormat::OpenPgp);
    }
    if text.contains("-----BEGIN ") {
        return Err("it contains something other than public keys");
    }
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    if lines.peek().is_none() {
        return Err("it is empty");
    }
    if lines.all(is_allowed_signer) {
        Ok(KeyFormat::Ssh)
    } else {
        Err("a line is not a signer followed by an ssh key")
    }
}

/// Whether a line has the form `PRINCIPALS [OPTIONS] KEYTYPE KEY`.
fn is_allowed_signer(line: &str) -> bool {
    let is_type = |word: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
    let words: Vec<&str> = line.split_whitespace().collect();
    // A line of `authorized_keys` starts with the key type and has no principals, so it would allow no signer.
    let at = words.iter().position(|word| is_type(word));
    at.is_some_and(|at| at > 0 && words.get(at + 1).is_some_and(|key| key.starts_with("AAAA")))
}

fn principals(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).map(printable).collect()
}

fn describe_signers(names: &[String], file: &Path) -> String {
    let mut unique: Vec<&str> = Vec::new();
    for name in names {
        if !unique.contains(&name.as_str()) {
            unique.push(name);
        }
    }
    if unique.is_empty() {
        return format!("a key in {}", file.display());
    }
    let mut text = unique[..unique.len().min(MAX_NAMED)].join(", ");
    if let Some(more) = unique.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
        let _ = write!(text, " or {more} more in {}", file.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{KeyFormat, describe_signers, detect_format};
    use std::path::Path;

    #[test]
    fn format_is_detected_from_the_contents() {
        for (text, kind) in [
            (&b"a@b ssh-ed25519 AAAAC3 x\n"[..], Ok(KeyFormat::Ssh)),
            (b"# team\n\n*@b,c namespaces=\"git\" ecdsa-sha2-nistp256 AAAAE2\n", Ok(KeyFormat::Ssh)),
            (b"a sk-ssh-ed25519@openssh.com AAAAGn\n", Ok(KeyFormat::Ssh)),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDM\n", Ok(KeyFormat::OpenPgp)),
            (b"\x98\x33\x04", Ok(KeyFormat::OpenPgp)),
            (b"\xc6\x33\x04", Ok(KeyFormat::OpenPgp)),
            (b"", Err("it is empty")),
            (b"# nothing\n", Err("it is empty")),
            (b"ssh-ed25519 AAAAC3 a@b\n", Err("a line is not a signer followed by an ssh key")),
            (b"a@b ssh-ed25519 AAAAC3\nhello\n", Err("a line is not a signer followed by an ssh key")),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", Err("it contains something other than public keys")),
            (b"\0\0\0\x20\x01\x01\0\x02KBXf", Err("it is a gpg keybox")),
        ] {
            assert_eq!(detect_format(text), kind, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn expected_signers_are_named_once_and_at_most_five() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let file = Path::new("/etc/signers");
        assert_eq!(describe_signers(&names(&["a", "b", "a"]), file), "a, b");
        assert_eq!(
            describe_signers(&names(&["a", "b", "c", "d", "e", "f"]), file),
            "a, b, c, d, e or 1 more in /etc/signers"
        );
        assert_eq!(describe_signers(&[], file), "a key in /etc/signers");
    }
}
