//! A host with its own store, profile and `switch-to-configuration`, and an operator that sends plain JSON.

use crate::common::{
    Gate, Host, HostBuilder, NatsServer, PeerConfirmations, RawClient, RawSubscription, TestDir, eventually,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const FLAKE: &str = r#"{
  outputs = { self }: {
    nixosConfigurations.web1.config.system.build.toplevel = derivation {
      name = "nixos-system-web1";
      system = "SYSTEM";
      builder = "/bin/sh";
      PATH = "/bin:/usr/bin";
      version = builtins.readFile ./version;
      args = [ "-c" ''
        mkdir -p $out/bin
        cp ${./switch-to-configuration} $out/bin/switch-to-configuration
        chmod +x $out/bin/switch-to-configuration
        printf %s "$version" > $out/nixos-version
      '' ];
    };
  };
}"#;

/// Replaces `switch-to-configuration`, as far as that is possible without systemd.
/// `tests/lab/switch-to-configuration.md` describes the behaviour. It records each call. Before each step, it runs the
/// file of that step in the stage as a shell script, which can read `$action`:
///
/// - `VERSION.program` before everything else.
/// - `VERSION.check`: a check, before every action. It refuses if it ends with a code other than 0; `$name` is its name.
/// - `VERSION.boot`: the boot loader, which fails in the same way.
/// - `VERSION.test`, `VERSION.dry-activate`: before the work of that action. `exit` ends the program.
/// - `VERSION.activate`: in the activation script. `status=1` fails a snippet, `exit 1` ends the script.
/// - `VERSION.units`: units are started. `code=4` reports that some failed.
pub(crate) const SWITCH: &str = r#"#!/bin/sh
system=$(dirname "$(dirname "$(readlink -f "$0")")")
version=$(cat "$system/nixos-version")
action=$1
echo "$version $action" >> "$STAGE/calls"
step() { if [ -f "$STAGE/$version.$1" ]; then . "$STAGE/$version.$1"; fi; }
checks() (
  name=stage
  trap '[ $? = 0 ] || { echo "Pre-switch check $q$name$q failed" >&2; exit 1; }' EXIT
  step check
)
boot_loader() (
  step boot
  echo "$system" > "$STAGE/bootloader"
)
activate() { ln -sfn "$system" "$STAGE/root/run/current-system"; }
activation_script() (
  status=0
  step activate
  activate
  exit $status
)
q="'"
step program
case $action in
  check | switch | boot | test | dry-activate) ;;
  *) echo "Usage: switch-to-configuration [check|switch|boot|test|dry-activate]" >&2; exit 1 ;;
esac
if [ "$NIXOS_NO_CHECK" != 1 ]; then
  checks || { echo "Pre-switch checks failed" >&2; exit 1; }
fi
case $action in
  switch | boot) boot_loader || { echo "Failed to install bootloader" >&2; exit 1; } ;;
esac
case $action in
  switch | test)
    code=0
    echo "activating the configuration..." >&2
    step test
    activation_script || { echo "Failed to run activate script" >&2; code=2; }
    echo "restarting sysinit-reactivation.target" >&2
    step units
    exit $code ;;
  dry-activate)
    echo "would activate the configuration..." >&2
    step dry-activate
    echo "would restart the following units: nginx.service, sshd.service" >&2 ;;
esac
exit 0
"#;

pub(crate) struct Stage {
    pub(crate) wire: RawClient,
    /// Follows every job, so that it confirms a host whose NATS server runs on the host itself.
    pub(crate) operator: PeerConfirmations,
    pub(crate) host: Host,
    pub(crate) nats: NatsServer,
    dir: TestDir,
}

impl Stage {
    /// Creates a host that runs version `v0`, generation 1.
    pub(crate) fn new() -> Self {
        Self::with(|host| host)
    }

    /// Like [`Self::new`], with a listener that `adapt` configures before it starts.
    pub(crate) fn with(adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::with_nats(|_, host| adapt(host))
    }

    /// Like [`Self::with`], if `adapt` also needs the NATS server.
    pub(crate) fn with_nats(adapt: impl FnOnce(&NatsServer, HostBuilder) -> HostBuilder) -> Self {
        let dir = TestDir::new();
        let at = |path: &str| dir.path().join(path);
        for path in ["flake", "root/run", "profiles", "home", "bin"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("flake/flake.nix"), flake()).unwrap();
        fs::write(at("flake/switch-to-configuration"), SWITCH).unwrap();
        fs::write(at("flake/version"), "v0").unwrap();
        let built = nix(dir.path(), &["build", "--no-link", "--json", &installable(dir.path())]);
        let built: Value = serde_json::from_str(&built).unwrap();
        let first = built[0]["outputs"]["out"].as_str().unwrap();
        let profile = at("profiles/system");
        run(dir.path(), "nix-env", &["--profile", profile.to_str().unwrap(), "--set", first]);
        for link in ["current-system", "booted-system"] {
            symlink(first, at("root/run").join(link)).unwrap();
        }

        let nats = NatsServer::start();
        let wire = RawClient::connect(&nats, "tester");
        let operator = wire.confirm_peers();
        let presence = wire.subscribe("deploy.responses.presence");
        let mut host = HostBuilder::new(&nats, "web1", "test", "web")
            .without("--rebuild-command")
            .flake(&format!("path:{}", at("flake").display()))
            .flag("--root", at("root").to_str().unwrap())
            .args(&["--profile", profile.to_str().unwrap()])
            .flag("--min-free", "0")
            .env("STAGE", dir.path().to_str().unwrap())
            .env("PATH", &format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap()));
        for (name, value) in environment(dir.path()) {
            host = host.env(name, &value);
        }
        let host = adapt(&nats, host).start();
        presence.next();
        Self { wire, operator, host, nats, dir }
    }

    /// Returns the path of a file of the stage.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Sets the script that `switch-to-configuration` of a version runs before a step, see [`SWITCH`].
    pub(crate) fn fault(&self, version: &str, step: &str, script: &str) {
        fs::write(self.at(&format!("{version}.{step}")), script).unwrap();
    }

    /// Builds a version in the store of the stage, without the listener.
    pub(crate) fn build(&self, version: &str) {
        fs::write(self.at("flake/version"), version).unwrap();
        nix(self.dir.path(), &["build", "--no-link", &installable(self.dir.path())]);
    }

    /// Creates a gate for a script that waits with `read _ < $STAGE/NAME`.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        Gate::at(self.at(name))
    }

    /// Sets the version of the flake.
    pub(crate) fn version(&self, version: &str) {
        fs::write(self.at("flake/version"), version).unwrap();
    }

    /// Replaces a part of the flake.
    pub(crate) fn change_flake(&self, from: &str, to: &str) {
        let flake = fs::read_to_string(self.at("flake/flake.nix")).unwrap();
        assert!(flake.contains(from), "{flake}");
        fs::write(self.at("flake/flake.nix"), flake.replace(from, to)).unwrap();
    }

    /// Adds a shell script that shadows every other program of its name.
    pub(crate) fn program_named(&self, name: &str, script: &str) {
        let file = self.at("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Returns the store path of the running system.
    pub(crate) fn system(&self) -> String {
        fs::read_link(self.at("root/run/current-system")).unwrap().to_str().unwrap().to_owned()
    }

    /// Returns the path of a file in the directory of a job.
    pub(crate) fn job_file(&self, id: &str, name: &str) -> PathBuf {
        self.host.file("state/jobs").join(id).join(name)
    }

    /// Deploys a version and returns the reports.
    pub(crate) fn deploy(&self, id: &str, action: &str, version: &str) -> RawSubscription {
        self.version(version);
        self.request(id, json!({"action": action, "revision": "master"}))
    }

    /// Sends a request and returns the reports.
    pub(crate) fn request(&self, id: &str, mut request: Value) -> RawSubscription {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.subscribe(&reply_to);
        request["reply_to"] = json!(reply_to);
        self.wire.publish("deploy.test.web1", &request);
        reports
    }

    /// Returns the running version.
    pub(crate) fn runs(&self) -> String {
        version_of(&self.at("root/run/current-system"))
    }

    /// Returns the version and the generation of the profile.
    pub(crate) fn profile(&self) -> String {
        let link = fs::read_link(self.at("profiles/system")).unwrap();
        let number = link.to_str().unwrap().replace("system-", "").replace("-link", "");
        format!("{} as {number}", version_of(&self.at("profiles/system")))
    }

    /// Returns every call of every `switch-to-configuration`.
    pub(crate) fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default().trim_end().replace('\n', ", ")
    }

    /// Returns the record of a job.
    pub(crate) fn record(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.job_file(id, "state.json")).unwrap()).unwrap()
    }

    /// Waits for a call of `switch-to-configuration`.
    pub(crate) fn called(&self, call: &str) {
        eventually("a call of switch-to-configuration", || self.calls().contains(call).then_some(()));
    }

    /// Returns every record.
    pub(crate) fn records(&self) -> Vec<Value> {
        let jobs = fs::read_dir(self.host.file("state/jobs")).into_iter().flatten();
        let records = jobs.filter_map(|job| fs::read(job.unwrap().path().join("state.json")).ok());
        records.map(|record| serde_json::from_slice(&record).unwrap()).collect()
    }

    /// Kills the worker with SIGKILL.
    pub(crate) fn kill_worker(&self) {
        eventually("a worker", || self.try_kill_worker().then_some(()));
    }

    /// Kills the worker if there is one; returns whether there was.
    pub(crate) fn try_kill_worker(&self) -> bool {
        let pid = self.worker_pid().and_then(Pid::from_raw);
        // The process may just have ended.
        pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }

    /// Whether a worker is running.
    pub(crate) fn has_worker(&self) -> bool {
        self.worker_pid().is_some()
    }

    fn worker_pid(&self) -> Option<i32> {
        let state = self.host.file("state");
        let mine = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(" activation run ") && line.contains(state.to_str().unwrap())
        };
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.into_iter().find(mine)
    }
}

/// Returns the flake for the architecture of this machine.
pub(crate) fn flake() -> String {
    FLAKE.replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH))
}

fn version_of(system: &Path) -> String {
    fs::read_to_string(system.join("nixos-version")).unwrap()
}

fn installable(dir: &Path) -> String {
    format!("path:{}#nixosConfigurations.web1.config.system.build.toplevel", dir.join("flake").display())
}

/// Returns the environment of a nix with its store and state in the stage: it needs no root, daemon or cache.
fn environment(dir: &Path) -> [(&'static str, String); 6] {
    let at = |path: &str| dir.join(path).display().to_string();
    let config =
        "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\nsandbox = false\n";
    [
        ("HOME", at("home")),
        ("NIX_STORE_DIR", at("store")),
        ("NIX_STATE_DIR", at("var")),
        ("NIX_LOG_DIR", at("log")),
        ("NIX_REMOTE", "local".to_owned()),
        ("NIX_CONFIG", config.to_owned()),
    ]
}

fn nix(dir: &Path, arguments: &[&str]) -> String {
    run(dir, "nix", arguments)
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).envs(environment(dir)).output().expect("nix must be installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
