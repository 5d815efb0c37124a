//! A fleet's flake with an input that can move: its remote, a checkout of it, and a nix with a store of its own.

use crate::common::{Ended, Running, binary, run};
use crate::forge::Forge;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The token of every test, which no text may hold.
pub(crate) const TOKEN: &str = "s3cret-t0ken-of-the-forge";

/// No cache to ask, and builds as the user who runs the tests.
const CONFIGURATION: &str = "substituters =\nsandbox = false\nbuild-users-group =\n";

/// Hosts are `NAME = SCRIPT;` each; `dep` is the input's number.
const FLAKE: &str = r#"{
  inputs.dep.url = "INPUT";
  outputs = { self, dep }: let
    sh = name: script: {
      config.system.build.toplevel = derivation {
        name = "nixos-system-${name}";
        system = "SYSTEM";
        builder = "/bin/sh";
        args = [ "-c" script ];
      };
    };
  in { nixosConfigurations = builtins.mapAttrs sh {
HOSTS
  }; };
}"#;

/// Three hosts that all build.
pub(crate) const GOOD: &str = "\
    web1 = \"echo ${dep.number} > $out\";
    web2 = \"echo ${dep.number} > $out\";
    db1 = \"echo ${dep.number} > $out\";";

/// One of them does not build with a newer input.
pub(crate) const BAD: &str = "\
    web1 = \"echo ${dep.number} > $out\";
    web2 = \"echo ${dep.number}; echo boom of web2; test ${dep.number} = 1 && echo > $out\";
    db1 = \"echo ${dep.number} > $out\";";

pub(crate) struct Stage {
    folder: TempDir,
}

impl Stage {
    /// A fleet with these hosts, locked to the input's number 1, which is at 2 by now.
    pub(crate) fn new(hosts: &str) -> Self {
        let stage = Self { folder: TempDir::new().unwrap() };
        for folder in ["input", "checkout", "tmp"] {
            fs::create_dir(stage.path(folder)).unwrap();
        }
        stage.git("input", &["init", "--quiet", "--initial-branch=master"]);
        stage.move_input(1);
        stage.git(".", &["init", "--quiet", "--bare", "--initial-branch=master", "fleet.git"]);
        stage.git("checkout", &["init", "--quiet", "--initial-branch=master"]);
        let remote = stage.remote();
        stage.git("checkout", &["remote", "add", "origin", &remote]);
        fs::write(stage.path("checkout/flake.nix"), stage.flake(hosts)).unwrap();
        stage.git("checkout", &["add", "flake.nix"]);
        let mut lock = stage.environment(Command::new("nix"));
        lock.args(["--extra-experimental-features", "nix-command flakes", "flake", "lock"]);
        run(lock.current_dir(stage.path("checkout")), 0);
        stage.git("checkout", &["add", "flake.lock"]);
        stage.git("checkout", &["commit", "--quiet", "--message", "the fleet"]);
        stage.git("checkout", &["push", "--quiet", "origin", "master"]);
        stage.move_input(2);
        fs::write(stage.path("token"), format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(stage.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The flake's text with these hosts.
    pub(crate) fn flake(&self, hosts: &str) -> String {
        FLAKE
            .replace("INPUT", &format!("git+file://{}", self.text("input")))
            .replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH))
            .replace("HOSTS", hosts)
    }

    pub(crate) fn remote(&self) -> String {
        format!("file://{}", self.text("fleet.git"))
    }

    /// Moves the input on.
    pub(crate) fn move_input(&self, number: u32) {
        let flake = format!("{{ outputs = _: {{ number = \"{number}\"; }}; }}");
        fs::write(self.path("input/flake.nix"), flake).unwrap();
        self.git("input", &["add", "--all"]);
        self.git("input", &["commit", "--quiet", "--message", &number.to_string()]);
    }

    /// Runs git there and gives what it prints.
    pub(crate) fn git(&self, folder: &str, args: &[&str]) -> String {
        let mut git = self.environment(Command::new("git"));
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.org"]).args(args);
        run(git.current_dir(self.path(folder)), 0).out.trim().to_owned()
    }

    /// A commit to the fleet by somebody else, pushed.
    pub(crate) fn somebody_pushes(&self, file: &str, branch: &str) -> String {
        let other = format!("other-{file}");
        self.git(".", &["clone", "--quiet", "--branch", branch, &self.remote(), &other]);
        fs::write(self.path(&other).join(file), "by somebody").unwrap();
        self.git(&other, &["add", "--all"]);
        self.git(&other, &["commit", "--quiet", "--message", "by somebody"]);
        self.git(&other, &["push", "--quiet", "origin", branch]);
        self.git(&other, &["rev-parse", "HEAD"])
    }

    /// The branches of the remote, each with its commit.
    pub(crate) fn branches(&self) -> Vec<(String, String)> {
        let listed =
            self.git("fleet.git", &["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads"]);
        let pair = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        listed.lines().map(pair).collect()
    }

    /// The commit of a branch of the remote.
    pub(crate) fn at(&self, branch: &str) -> String {
        self.git("fleet.git", &["rev-parse", "--verify", &format!("refs/heads/{branch}")])
    }

    /// The name of today's branch.
    pub(crate) fn today() -> String {
        format!("flake-update/{}", jiff::Zoned::now().date())
    }

    /// The command on the checkout.
    pub(crate) fn update(&self) -> Command {
        self.update_of(&self.text("checkout"))
    }

    /// The command on another folder or URL.
    pub(crate) fn update_of(&self, repo: &str) -> Command {
        let mut command = self.environment(Command::new(binary()));
        command.args(["flake-update", "--repo", repo]);
        let gate = self.path("gate");
        if gate.exists() {
            command.arg("--nix-may-read").arg(gate);
        }
        command
    }

    /// The command on the checkout, with a forge.
    pub(crate) fn update_with(&self, forge: &Forge) -> Command {
        let mut command = self.update();
        command.arg("--token-file").arg(self.path("token")).arg("--forge-url").arg(forge.page());
        command
    }

    /// Runs to the end: nothing may be left in the temporary folder, the token stands nowhere, and the checkout is as it was.
    pub(crate) fn ended(&self, command: &mut Command, code: i32) -> Ended {
        let before = self.checkout();
        let ended = Running::start(command).ended(code);
        self.check(&ended);
        assert_eq!(self.checkout(), before, "{ended}");
        ended
    }

    /// What holds for every run, however it ended.
    pub(crate) fn check(&self, ended: &Ended) {
        assert!(!ended.to_string().contains(TOKEN), "the token is shown\n{ended}");
        let left: Vec<_> =
            fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Everything in the checkout that is its owner's.
    fn checkout(&self) -> String {
        let git = |args: &[&str]| self.git("checkout", args);
        let head = fs::read_to_string(self.path("checkout/.git/HEAD")).unwrap();
        let heads = git(&["for-each-ref", "refs/heads/master", "refs/stash", "refs/tags"]);
        let index = fs::read(self.path("checkout/.git/index")).unwrap();
        let status = git(&["--no-optional-locks", "status", "--porcelain"]);
        let lock = fs::read_to_string(self.path("checkout/flake.lock")).unwrap();
        format!("{head}\n{heads}\n{index:?}\n{status}\n{lock}")
    }

    /// A program in this stage: git and nix know nothing of this machine's user.
    pub(crate) fn environment(&self, mut command: Command) -> Command {
        let home = self.folder.path();
        command
            .env("HOME", home.join("home"))
            .env("TMPDIR", home.join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NIX_CONFIG", CONFIGURATION)
            .env("NIX_STORE_DIR", home.join("store"))
            .env("NIX_STATE_DIR", home.join("var"))
            .env("NIX_LOG_DIR", home.join("log"))
            .env("NIX_REMOTE", "local");
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "GIT_DIR", "GIT_INDEX_FILE"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What nix puts into a store is read-only, also for who wants to clear it away.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.folder.path()).status();
    }
}
