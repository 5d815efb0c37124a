//! Required commit signatures, with real keys of ssh-keygen and gpg and real signatures of git.

use crate::repository::Repository;
use crate::server::Server;
use homelab_deploy::git::{CommitPolicy, CommitSigners, PreviousCommits, ResolveError};
use homelab_deploy::nix::{FlakeUrl, LockedFlake, resolve_allowed};
use homelab_deploy::protocol::{ErrorCode, Revision};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

struct Stage {
    repository: Repository,
    server: Server,
    keys: TempDir,
    signers: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let repository = Repository::new();
        let server = Server::open(repository.remotes());
        let keys = TempDir::new().unwrap();
        let signers = keys.path().join("signers");
        Self { repository, server, keys, signers }
    }

    /// Creates an ssh key and returns its public half.
    fn ssh_key(&self, name: &str) -> String {
        let file = self.keys.path().join(name);
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file.to_str().unwrap()], None);
        let public = fs::read_to_string(file.with_extension("pub")).unwrap();
        public.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Creates and pushes a signed commit.
    fn signed(&self, text: &str, settings: &[&str]) -> String {
        self.repository.write("version", text);
        self.repository.git(&["add", "."]);
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        let commit = ["commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", text];
        self.repository.git(&settings.chain(commit).collect::<Vec<_>>());
        self.repository.push();
        self.repository.git(&["rev-parse", "HEAD"])
    }

    fn signed_by_ssh(&self, name: &str) -> String {
        let key = format!("user.signingKey={}", self.keys.path().join(name).display());
        self.signed(name, &["gpg.format=ssh", &key])
    }

    /// Changes the message of the head without changing its signature, and pushes the result.
    fn forge(&self, from: &str, to: &str) -> String {
        let object = self.repository.git(&["cat-file", "commit", "HEAD"]);
        let file = self.keys.path().join("object");
        fs::write(&file, object.replace(&format!("\n\n{from}"), &format!("\n\n{to}")) + "\n").unwrap();
        let forged = self.repository.git(&["hash-object", "-t", "commit", "-w", file.to_str().unwrap()]);
        self.repository.git(&["reset", "--quiet", "--hard", &forged]);
        self.repository.push();
        forged
    }

    async fn pin(&self) -> Result<LockedFlake, ResolveError> {
        let signers = CommitSigners::new(self.signers.clone()).unwrap();
        let cache = self.keys.path().join("commits");
        let policy = CommitPolicy { cache, allowed_branches: Vec::new(), signers: Some(signers) };
        let flake: FlakeUrl = self.server.flake().parse().unwrap();
        let main = Revision::new("main").unwrap();
        resolve_allowed(&flake, &main, None, &policy, &PreviousCommits::default()).await
    }

    async fn note(&self) -> String {
        self.pin().await.unwrap().note.unwrap()
    }

    async fn refused(&self) -> String {
        let error = self.pin().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRevision, "{error}");
        error.to_string()
    }
}

fn run(program: &str, arguments: &[&str], home: Option<&Path>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).envs(home.map(|home| ("GNUPGHOME", home)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|dir| dir.join(program).exists())
}

#[tokio::test]
async fn a_commit_is_signed_by_an_allowed_ssh_key() {
    let stage = Stage::new();
    let alice = stage.ssh_key("alice");
    stage.ssh_key("mallory");
    fs::write(
        &stage.signers,
        format!("# team\nalice@example.org namespaces=\"git\" {alice}\nbob@example.org {alice}\n"),
    )
    .unwrap();
    let unsigned = stage.repository.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        stage.refused().await,
        format!(
            "commit {unsigned} is not signed; expected a signature by alice@example.org, bob@example.org; sign it with `git commit \
             -S`, push it, then deploy again"
        )
    );
    let good = stage.signed_by_ssh("alice");
    let note = stage.note().await;
    assert!(
        note.starts_with(&format!("commit {good} is signed by alice@example.org with ED25519 key SHA256:")),
        "{note}"
    );
    let forged = stage.forge("alice", "alise");
    let message = stage.refused().await;
    assert!(message.starts_with(&format!("the signature of commit {forged} is not valid: ")), "{message}");
    assert!(message.contains("; expected a signature by alice@example.org, bob@example.org; "), "{message}");
    let stranger = stage.signed_by_ssh("mallory");
    let message = stage.refused().await;
    let begin = format!("commit {stranger} is signed by an unknown key (ED25519 key SHA256:");
    assert!(message.starts_with(&begin), "{message}");
    assert!(message.ends_with("or add the key to the file of --commit-signers"), "{message}");
    // The file is read for each commit.
    let mallory = fs::read_to_string(stage.keys.path().join("mallory.pub")).unwrap();
    fs::write(&stage.signers, format!("mallory@example.org {mallory}")).unwrap();
    assert!(stage.note().await.contains("mallory@example.org"));
}

#[tokio::test]
async fn a_commit_is_signed_by_an_openpgp_key_of_the_file() {
    assert!(is_installed("gpg"), "this test needs gpg: install gnupg");
    let stage = Stage::new();
    let home = stage.keys.path().join("gnupg");
    run("mkdir", &["-m", "700", home.to_str().unwrap()], None);
    for user in ["Carol <carol@example.org>", "Mallory <mallory@example.org>"] {
        let make =
            ["--batch", "--quiet", "--passphrase", "", "--quick-gen-key", user, "ed25519", "sign", "never"];
        run("gpg", &make, Some(&home));
    }
    let program = stage.keys.path().join("gpg");
    let script = format!("#!/bin/sh\nexec gpg --homedir {} \"$@\"\n", home.display());
    fs::write(&program, script).unwrap();
    run("chmod", &["755", program.to_str().unwrap()], None);
    let program = format!("gpg.program={}", program.display());
    let sign = |user: &str| {
        stage.signed(user, &["gpg.format=openpgp", &program, &format!("user.signingKey={user}@example.org")])
    };
    for armor in ["--armor", "--no-armor"] {
        let key = run("gpg", &["--batch", armor, "--export", "carol@example.org"], Some(&home));
        fs::write(&stage.signers, key).unwrap();
        let good = sign("carol");
        let note = stage.note().await;
        let begin = format!("commit {good} is signed by Carol <carol@example.org> with OpenPGP key ");
        assert!(note.starts_with(&begin), "{note}");
    }
    let forged = stage.forge("carol", "karol");
    let expected = "expected a signature by Carol <carol@example.org>";
    assert_eq!(
        stage.refused().await,
        format!(
            "the signature of commit {forged} is not valid: it does not match the commit (key of Carol <carol@example.org>); \
             {expected}; sign the commit again"
        )
    );
    let stranger = sign("mallory");
    let message = stage.refused().await;
    assert!(
        message.starts_with(&format!("commit {stranger} is signed by an unknown key (OpenPGP ")),
        "{message}"
    );
    assert!(message.contains(expected), "{message}");
    // A signature with another kind of key is refused.
    let alice = stage.ssh_key("alice");
    stage.signed_by_ssh("alice");
    assert!(stage.refused().await.contains("is signed by an ssh key, but the file has OpenPGP keys; "));
    fs::write(&stage.signers, format!("alice@example.org {alice}\n")).unwrap();
    sign("carol");
    assert!(stage.refused().await.contains("is signed by an OpenPGP key, but the file has ssh keys; "));
    run("gpgconf", &["--kill", "all"], Some(&home));
}

#[test]
fn an_unusable_signers_file_is_named_in_the_error() {
    let stage = Stage::new();
    for (content, reason) in [
        (None, "No such file or directory (os error 2)"),
        (Some("\n"), "it is empty"),
        (Some("ssh-ed25519 AAAA alice\n"), "a line is not a signer followed by an ssh key"),
    ] {
        if let Some(content) = content {
            fs::write(&stage.signers, content).unwrap();
        }
        let error = CommitSigners::new(stage.signers.clone()).unwrap_err().to_string();
        let expected = format!(
            "the signers file {} cannot be used: {reason}; expected ssh keys as described in ALLOWED SIGNERS of ssh-keygen(1), or \
             the output of `gpg --export`",
            stage.signers.display()
        );
        assert_eq!(error, expected);
    }
}
