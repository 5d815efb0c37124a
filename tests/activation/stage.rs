//! A host with a store, a profile and a `switch-to-configuration` of its own, and an operator who speaks plain JSON.

use crate::common::{Broker, Ears, Gate, Host, HostBuilder, Vouching, Wire, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

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

/// Stands in for `switch-to-configuration`, as far as it can without systemd; `tests/lab/switch-to-configuration.md` says
/// what that does. Notes that it was called. At each step it does first what a file of the stage says, as a shell script
/// that knows `$action`:
///
/// - `VERSION.program` before everything else.
/// - `VERSION.check`: a check, before every action. It refuses by ending with another code than 0; `$name` is its name.
/// - `VERSION.boot`: the boot loader, which fails likewise.
/// - `VERSION.test`, `VERSION.dry-activate`: before the work of that action. `exit` ends the program.
/// - `VERSION.activate`: in the activation script. `status=1` fails a part of it, `exit 1` ends it there.
/// - `VERSION.units`: units are started. `code=4` says that some failed.
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
    pub(crate) wire: Wire,
    /// Follows every job, so that it confirms a host that runs its NATS server.
    pub(crate) operator: Vouching,
    pub(crate) host: Host,
    pub(crate) broker: Broker,
    folder: TempDir,
}

impl Stage {
    /// A host that runs version `v0`, generation 1.
    pub(crate) fn new() -> Self {
        Self::with(|host| host)
    }

    /// The same, with a listener that `adapt` has changed before it starts.
    pub(crate) fn with(adapt: impl FnOnce(HostBuilder) -> HostBuilder) -> Self {
        Self::beside(|_, host| adapt(host))
    }

    /// The same where the change has to do with the broker.
    pub(crate) fn beside(adapt: impl FnOnce(&Broker, HostBuilder) -> HostBuilder) -> Self {
        let folder = TempDir::new().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["flake", "root/run", "profiles", "home", "bin"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("flake/flake.nix"), flake()).unwrap();
        fs::write(at("flake/switch-to-configuration"), SWITCH).unwrap();
        fs::write(at("flake/version"), "v0").unwrap();
        let built = nix(folder.path(), &["build", "--no-link", "--json", &installable(folder.path())]);
        let built: Value = serde_json::from_str(&built).unwrap();
        let first = built[0]["outputs"]["out"].as_str().unwrap();
        let profile = at("profiles/system");
        run(folder.path(), "nix-env", &["--profile", profile.to_str().unwrap(), "--set", first]);
        for link in ["current-system", "booted-system"] {
            symlink(first, at("root/run").join(link)).unwrap();
        }

        let broker = Broker::start();
        let wire = Wire::connect(&broker, "tester");
        let operator = wire.vouch();
        let presence = wire.listen("deploy.responses.presence");
        let mut host = HostBuilder::new(&broker, "web1", "test", "web")
            .without("--rebuild-command")
            .flake(&format!("path:{}", at("flake").display()))
            .flag("--root", at("root").to_str().unwrap())
            .args(&["--profile", profile.to_str().unwrap()])
            .flag("--min-free", "0")
            .env("STAGE", folder.path().to_str().unwrap())
            .env("PATH", &format!("{}:{}", at("bin").display(), std::env::var("PATH").unwrap()));
        for (name, value) in environment(folder.path()) {
            host = host.env(name, &value);
        }
        let host = adapt(&broker, host).start();
        presence.next();
        Self { wire, operator, host, broker, folder }
    }

    /// A file of the stage.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What `switch-to-configuration` of a version does first at a step, see [`SWITCH`].
    pub(crate) fn fault(&self, version: &str, step: &str, script: &str) {
        fs::write(self.at(&format!("{version}.{step}")), script).unwrap();
    }

    /// Builds a version in the store of the stage, without the listener.
    pub(crate) fn build(&self, version: &str) {
        fs::write(self.at("flake/version"), version).unwrap();
        nix(self.folder.path(), &["build", "--no-link", &installable(self.folder.path())]);
    }

    /// A gate for such a script: `read _ < $STAGE/NAME`.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        Gate::at(self.at(name))
    }

    /// The flake is at this version from now on.
    pub(crate) fn version(&self, version: &str) {
        fs::write(self.at("flake/version"), version).unwrap();
    }

    /// Changes the text of the flake.
    pub(crate) fn change_flake(&self, from: &str, to: &str) {
        let flake = fs::read_to_string(self.at("flake/flake.nix")).unwrap();
        assert!(flake.contains(from), "{flake}");
        fs::write(self.at("flake/flake.nix"), flake.replace(from, to)).unwrap();
    }

    /// A program that is found before every other of its name, as a shell script.
    pub(crate) fn program_named(&self, name: &str, script: &str) {
        let file = self.at("bin").join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The store path of what runs.
    pub(crate) fn system(&self) -> String {
        fs::read_link(self.at("root/run/current-system")).unwrap().to_str().unwrap().to_owned()
    }

    /// A file in the folder of a job.
    pub(crate) fn job_file(&self, id: &str, name: &str) -> PathBuf {
        self.host.file("state/jobs").join(id).join(name)
    }

    /// Deploys a version and gives what comes back.
    pub(crate) fn deploy(&self, id: &str, action: &str, version: &str) -> Ears {
        self.version(version);
        self.ask_for(id, json!({"action": action, "revision": "master"}))
    }

    /// Sends a request and gives what comes back.
    pub(crate) fn ask_for(&self, id: &str, mut request: Value) -> Ears {
        let reply_to = format!("deploy.responses.{id}");
        let reports = self.wire.listen(&reply_to);
        request["reply_to"] = json!(reply_to);
        self.wire.say("deploy.test.web1", &request);
        reports
    }

    /// Which version runs.
    pub(crate) fn runs(&self) -> String {
        version_of(&self.at("root/run/current-system"))
    }

    /// Which version the profile is at, and at which generation.
    pub(crate) fn profile(&self) -> String {
        let link = fs::read_link(self.at("profiles/system")).unwrap();
        let number = link.to_str().unwrap().replace("system-", "").replace("-link", "");
        format!("{} as {number}", version_of(&self.at("profiles/system")))
    }

    /// Every call of every `switch-to-configuration`.
    pub(crate) fn calls(&self) -> String {
        fs::read_to_string(self.at("calls")).unwrap_or_default().trim_end().replace('\n', ", ")
    }

    /// The record of a job.
    pub(crate) fn record(&self, id: &str) -> Value {
        serde_json::from_slice(&fs::read(self.job_file(id, "state.json")).unwrap()).unwrap()
    }

    /// Waits until `switch-to-configuration` was called so.
    pub(crate) fn called(&self, call: &str) {
        eventually("a call of switch-to-configuration", || self.calls().contains(call).then_some(()));
    }

    /// Every record.
    pub(crate) fn records(&self) -> Vec<Value> {
        let jobs = fs::read_dir(self.host.file("state/jobs")).into_iter().flatten();
        let records = jobs.filter_map(|job| fs::read(job.unwrap().path().join("state.json")).ok());
        records.map(|record| serde_json::from_slice(&record).unwrap()).collect()
    }

    /// Kills the activation program without a word.
    pub(crate) fn kill_program(&self) {
        eventually("the activation program", || self.try_kill_program().then_some(()));
    }

    /// The same, where there is one; gives whether there was.
    pub(crate) fn try_kill_program(&self) -> bool {
        let pid = self.program().and_then(Pid::from_raw);
        // It may have ended at this moment.
        pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
    }

    /// Whether an activation program is at work.
    pub(crate) fn has_program(&self) -> bool {
        self.program().is_some()
    }

    fn program(&self) -> Option<i32> {
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

/// The text of the flake on this machine.
pub(crate) fn flake() -> String {
    FLAKE.replace("SYSTEM", &format!("{}-linux", std::env::consts::ARCH))
}

fn version_of(system: &Path) -> String {
    fs::read_to_string(system.join("nixos-version")).unwrap()
}

fn installable(folder: &Path) -> String {
    format!("path:{}#nixosConfigurations.web1.config.system.build.toplevel", folder.join("flake").display())
}

/// A nix whose store and state lie in the stage: it needs no root, no daemon and no cache.
fn environment(folder: &Path) -> [(&'static str, String); 6] {
    let at = |path: &str| folder.join(path).display().to_string();
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

fn nix(folder: &Path, arguments: &[&str]) -> String {
    run(folder, "nix", arguments)
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .envs(environment(folder))
        .output()
        .expect("nix must be installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
