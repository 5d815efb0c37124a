//! A fleet's flake with an input that can be updated: its remote, a checkout, and a nix with a separate store.

use crate::common::{CommandOutput, RunningCommand, TestDir, binary, run};
use crate::forge::Forge;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// The token of all tests, which no output may contain.
pub(crate) const TOKEN: &str = "s3cret-t0ken-of-the-forge";

/// Disables binary caches and build users, so that builds run as the user of the tests.
const CONFIGURATION: &str = "substituters =\nsandbox = false\nbuild-users-group =\n";

/// Each host is `NAME = SCRIPT;`, and `dep.number` is the input's number.
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

/// Three hosts, which all build.
pub(crate) const GOOD: &str = "\
    web1 = \"echo ${dep.number} > $out\";
    web2 = \"echo ${dep.number} > $out\";
    db1 = \"echo ${dep.number} > $out\";";

/// Three hosts, one of which does not build with a newer input.
pub(crate) const BAD: &str = "\
    web1 = \"echo ${dep.number} > $out\";
    web2 = \"echo ${dep.number}; echo boom of web2; test ${dep.number} = 1 && echo > $out\";
    db1 = \"echo ${dep.number} > $out\";";

pub(crate) struct Stage {
    dir: TestDir,
}

impl Stage {
    /// A fleet with these hosts. It is locked to number 1 of the input, whose current number is 2.
    pub(crate) fn new(hosts: &str) -> Self {
        let stage = Self { dir: TestDir::new() };
        for dir in ["input", "checkout", "tmp"] {
            fs::create_dir(stage.path(dir)).unwrap();
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
        self.dir.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The contents of `flake.nix` with these hosts.
    pub(crate) fn flake(&self, hosts: &str) -> String {
        FLAKE
            .replace("INPUT", &format!("git+file://{}", self.text("input")))
            .replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH))
            .replace("HOSTS", hosts)
    }

    pub(crate) fn remote(&self) -> String {
        format!("file://{}", self.text("fleet.git"))
    }

    /// Commits a new number to the input.
    pub(crate) fn move_input(&self, number: u32) {
        let flake = format!("{{ outputs = _: {{ number = \"{number}\"; }}; }}");
        fs::write(self.path("input/flake.nix"), flake).unwrap();
        self.git("input", &["add", "--all"]);
        self.git("input", &["commit", "--quiet", "--message", &number.to_string()]);
    }

    /// Runs git in a directory of the stage and returns its stdout.
    pub(crate) fn git(&self, dir: &str, args: &[&str]) -> String {
        let mut git = self.environment(Command::new("git"));
        git.args(["-c", "user.name=test", "-c", "user.email=test@example.org"]).args(args);
        run(git.current_dir(self.path(dir)), 0).stdout.trim().to_owned()
    }

    /// Pushes a commit by someone else to the fleet, and returns it.
    pub(crate) fn push_as_someone_else(&self, file: &str, branch: &str) -> String {
        let other = format!("other-{file}");
        self.git(".", &["clone", "--quiet", "--branch", branch, &self.remote(), &other]);
        fs::write(self.path(&other).join(file), "by someone else").unwrap();
        self.git(&other, &["add", "--all"]);
        self.git(&other, &["commit", "--quiet", "--message", "by someone else"]);
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

    /// `flake-update` on the checkout.
    pub(crate) fn update(&self) -> Command {
        self.update_of(&self.text("checkout"))
    }

    /// `flake-update` on another directory or URL.
    pub(crate) fn update_of(&self, repo: &str) -> Command {
        let mut command = self.environment(Command::new(binary()));
        command.args(["flake-update", "--repo", repo]);
        let gate = self.path("gate");
        if gate.exists() {
            command.arg("--nix-may-read").arg(gate);
        }
        command
    }

    /// `flake-update` on the checkout, with a forge.
    pub(crate) fn update_with(&self, forge: &Forge) -> Command {
        let mut command = self.update();
        command.arg("--token-file").arg(self.path("token")).arg("--forge-url").arg(forge.page());
        command
    }

    /// Runs a command. Asserts that no temporary files are left, the token is not shown, and the checkout did not change.
    pub(crate) fn wait_for_exit(&self, command: &mut Command, code: i32) -> CommandOutput {
        let before = self.checkout();
        let ended = RunningCommand::start(command).wait_for_exit(code);
        self.check(&ended);
        assert_eq!(self.checkout(), before, "{ended}");
        ended
    }

    /// Asserts what must be true after all runs: no token in the output, and no temporary files.
    pub(crate) fn check(&self, ended: &CommandOutput) {
        assert!(!ended.to_string().contains(TOKEN), "the token is shown\n{ended}");
        let left: Vec<_> =
            fs::read_dir(self.path("tmp")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// The state of the checkout that a run must not change.
    fn checkout(&self) -> String {
        let git = |args: &[&str]| self.git("checkout", args);
        let head = fs::read_to_string(self.path("checkout/.git/HEAD")).unwrap();
        let heads = git(&["for-each-ref", "refs/heads/master", "refs/stash", "refs/tags"]);
        let index = fs::read(self.path("checkout/.git/index")).unwrap();
        let status = git(&["--no-optional-locks", "status", "--porcelain"]);
        let lock = fs::read_to_string(self.path("checkout/flake.lock")).unwrap();
        format!("{head}\n{heads}\n{index:?}\n{status}\n{lock}")
    }

    /// A program in this stage, which hides the settings of this machine's user from git and nix.
    pub(crate) fn environment(&self, mut command: Command) -> Command {
        let home = self.dir.path();
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
