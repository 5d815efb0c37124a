//! What the builder costs beside nix itself: `build --all` of twenty trivial hosts, beside the same `nix build` calls made by hand
//! with the same parallelism. Each round builds a commit of its own, so that nothing is there already.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends at the first fault and prints its figures"
)]

use homelab_deploy::demo::Broker;
use homelab_deploy::keys::Seed;
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

/// A folder with a store, a repository and a builder's state of its own.
struct Yard {
    folder: TempDir,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { folder: TempDir::new().unwrap() };
        for path in ["repo", "home", "state"] {
            fs::create_dir_all(yard.at(path)).unwrap();
        }
        let flake = FLAKE.replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH));
        fs::write(yard.at("repo/flake.nix"), flake.replace("HOSTS", &HOSTS.to_string())).unwrap();
        yard.git(&["init", "--quiet", "--initial-branch", "main"]);
        yard
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Commits a version that was never built, and gives the commit.
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

    /// A command whose nix uses the store of the yard.
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

    /// The same builds by hand: so many at a time.
    fn by_hand(&self, commit: &str) -> Duration {
        let begun = Instant::now();
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
        begun.elapsed()
    }
}

/// A builder that runs; ended with its owner.
struct Builder(Child);

impl Builder {
    fn start(yard: &Yard, url: &str) -> Self {
        let config = yard.at("builder.toml");
        let repo = format!("[repos.fleet]\nurl = {:?}\ndefault_branch = \"main\"\n", yard.url());
        fs::write(&config, format!("parallel = {PARALLEL}\n{repo}")).unwrap();
        let mut command = yard.command(PROGRAM);
        command.arg("builder").arg("--config").arg(config).arg("--state-dir").arg(yard.at("state"));
        // This server asks nobody who he is.
        let key = yard.at("builder.nkey");
        Seed::generate().unwrap().write_new(&key).unwrap();
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

fn build(yard: &Yard, url: &str, branch: &str) -> Duration {
    let begun = Instant::now();
    let mut command = yard.command(PROGRAM);
    let output = command.args(["build", "--all", "--branch", branch, "--nats-url", url]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("  completed  ").count(), HOSTS, "{said}");
    begun.elapsed()
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let yard = Yard::new();
    let broker = runtime.block_on(Broker::start(&yard.at("broker"), "", Path::new(PROGRAM))).unwrap();
    let _builder = Builder::start(&yard, broker.url());
    // Until it listens, and once for what only the first build costs.
    let first = yard.commit("first");
    while !yard
        .command(PROGRAM)
        .args(["build", "host1", "--branch", &first, "--nats-url", broker.url()])
        .output()
        .unwrap()
        .status
        .success()
    {}
    let mut rounds: Vec<_> = (0..ROUNDS)
        .map(|round| {
            let by_hand = yard.by_hand(&yard.commit(&format!("by hand {round}")));
            let took = build(&yard, broker.url(), &yard.commit(&format!("by the builder {round}")));
            (took.as_secs_f64() / by_hand.as_secs_f64(), took, by_hand)
        })
        .collect();
    runtime.block_on(broker.stop()).unwrap();
    // Each round is compared with itself, for the machine is not the same from one to the next.
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (factor, took, by_hand) = rounds[ROUNDS / 2];
    println!("build: {HOSTS} hosts by the builder in {took:.2?}, {factor:.2} x the floor, bound {BOUND} x");
    println!("  floor, `nix build` of each by hand, {PARALLEL} at a time: {by_hand:.2?}");
    if factor <= BOUND { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
