//! Overhead of the builder: `build --all` of twenty trivial hosts, compared with the same `nix build` calls made by
//! hand with the same parallelism. Each round builds a new commit, so that nothing is built yet.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench stops at the first error and prints its results"
)]

use homelab_deploy::demo::NatsServer;
use homelab_deploy::keys::UserSeed;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_homelab-deploy");
const HOSTS: usize = 20;
const PARALLEL: usize = 2;
const ROUNDS: usize = 9;
const BOUND: f64 = 1.3;

const FLAKE: &str = r#"{
  outputs = { self }: let
    host = n: {
      name = "host${toString n}";
      value.config.system.build.toplevel = derivation {
        name = "nixos-system-host${toString n}";
        system = "SYSTEM";
        builder = "/bin/sh";
        PATH = "/bin:/usr/bin";
        version = builtins.readFile ./version;
        args = [ "-c" "mkdir $out; echo $version > $out/version" ];
      };
    };
  in { nixosConfigurations = builtins.listToAttrs (map host (builtins.genList (n: n + 1) HOSTS)); };
}"#;

/// A directory with a store, a repository and the builder's state.
struct BuildDirectory {
    directory: TempDir,
}

impl BuildDirectory {
    fn new() -> Self {
        let dir = Self { directory: TempDir::new().unwrap() };
        for path in ["repo", "home", "state"] {
            fs::create_dir_all(dir.at(path)).unwrap();
        }
        let flake = FLAKE.replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH));
        fs::write(dir.at("repo/flake.nix"), flake.replace("HOSTS", &HOSTS.to_string())).unwrap();
        dir.git(&["init", "--quiet", "--initial-branch", "main"]);
        dir
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Commits a version that was never built and returns the commit.
    fn commit(&self, version: &str) -> String {
        fs::write(self.at("repo/version"), version).unwrap();
        self.git(&["add", "--all"]);
        self.git(&[
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
            "commit",
            "--quiet",
            "-m",
            version,
        ]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn git(&self, args: &[&str]) -> String {
        let output = Command::new("git").arg("-C").arg(self.at("repo")).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn url(&self) -> String {
        format!("git+file://{}", self.at("repo").display())
    }

    /// A command whose nix uses the store of this directory.
    fn command(&self, program: &str) -> Command {
        let at = |path: &str| self.at(path).display().to_string();
        let config = "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\nsandbox = false\n";
        let mut command = Command::new(program);
        command
            .env("HOME", at("home"))
            .env("XDG_STATE_HOME", at("home"))
            .env("XDG_CONFIG_HOME", at("home"))
            .env("NIX_STORE_DIR", at("store"))
            .env("NIX_STATE_DIR", at("var"))
            .env("NIX_LOG_DIR", at("log"))
            .env("NIX_REMOTE", "local")
            .env("NIX_CONFIG", config);
        command
    }

    /// The same builds by hand, with the same parallelism.
    fn by_hand(&self, commit: &str) -> Duration {
        let start = Instant::now();
        let next = AtomicUsize::new(1);
        thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(|| {
                    loop {
                        let host = next.fetch_add(1, Ordering::Relaxed);
                        if host > HOSTS {
                            return;
                        }
                        let toplevel = format!("nixosConfigurations.host{host}.config.system.build.toplevel");
                        let installable = format!("{}?ref=main&rev={commit}#{toplevel}", self.url());
                        let link = self.at(&format!("by-hand-{host}"));
                        let mut nix = self.command("nix");
                        nix.args(["build", "--no-update-lock-file", "--out-link"]).arg(link).arg(installable);
                        let output = nix.output().unwrap();
                        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                    }
                });
            }
        });
        start.elapsed()
    }
}

/// A running builder, killed on drop.
struct Builder(Child);

impl Builder {
    fn start(dir: &BuildDirectory, url: &str) -> Self {
        let config = dir.at("builder.toml");
        let repo = format!("[repos.fleet]\nurl = {:?}\ndefault_branch = \"main\"\n", dir.url());
        fs::write(&config, format!("parallel = {PARALLEL}\n{repo}")).unwrap();
        let mut command = dir.command(PROGRAM);
        command.arg("builder").arg("--config").arg(config).arg("--state-dir").arg(dir.at("state"));
        // This server does not authenticate its clients.
        let key = dir.at("builder.nkey");
        UserSeed::generate().unwrap().write_new(&key).unwrap();
        command.arg("--nkey-file").arg(key);
        command.args(["--nats-url", url]).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn build(dir: &BuildDirectory, url: &str, branch: &str) -> Duration {
    let start = Instant::now();
    let mut command = dir.command(PROGRAM);
    let output = command.args(["build", "--all", "--branch", branch, "--nats-url", url]).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout.matches("  completed  ").count(), HOSTS, "{stdout}");
    start.elapsed()
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = BuildDirectory::new();
    let nats_server = runtime.block_on(NatsServer::start(&dir.at("nats"), "", Path::new(PROGRAM))).unwrap();
    let _builder = Builder::start(&dir, nats_server.url());
    // Waits until the builder is ready, and excludes the one-time cost of the first build.
    let first = dir.commit("first");
    while !dir
        .command(PROGRAM)
        .args(["build", "host1", "--branch", &first, "--nats-url", nats_server.url()])
        .output()
        .unwrap()
        .status
        .success()
    {}
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|round| {
            let by_hand = dir.by_hand(&dir.commit(&format!("by hand {round}")));
            let took = build(&dir, nats_server.url(), &dir.commit(&format!("by the builder {round}")));
            (took.as_secs_f64() / by_hand.as_secs_f64(), took, by_hand)
        })
        .collect();
    runtime.block_on(nats_server.stop()).unwrap();
    // Each round is compared with itself, because the machine's speed varies between rounds.
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (factor, took, by_hand) = rounds[ROUNDS / 2];
    println!(
        "build: {HOSTS} hosts by the builder in {took:.2?}, {factor:.2} x the baseline, bound {BOUND} x"
    );
    println!("  baseline, `nix build` of each host by hand, {PARALLEL} at a time: {by_hand:.2?}");
    if factor <= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
