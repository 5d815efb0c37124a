//! What happens inside a host, seen and done from there.

use super::flake::Flake;
use super::host::Host;
use crate::common::{Ended, eventually};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// The state of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) active: String,
    pub(crate) sub: String,
    pub(crate) result: String,
    /// Its main process, as the host counts them; 0 for none.
    pub(crate) pid: u32,
    /// How often systemd restarted it by itself.
    pub(crate) restarts: u32,
}

impl Host {
    /// Runs shell in the host, at most a minute.
    pub(crate) fn run(&self, script: &str) -> Ended {
        let environment = ["HOME=/root", "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
        let output = Command::new("nsenter")
            .args(["--target", &self.leader().to_string(), "--all", "/usr/bin/env", "-i"])
            .args(environment)
            .args(["timeout", "--kill-after=1", "60", "sh", "-c", script])
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let signal = || output.status.signal().map(|signal| -signal);
        Ended {
            code: output.status.code().or_else(signal).unwrap(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// The same; it must succeed. Gives what it printed.
    pub(crate) fn sh(&self, script: &str) -> String {
        let ended = self.run(script);
        assert_eq!(ended.code, 0, "{}: {script}\n{ended}", self.name());
        ended.out.trim().to_owned()
    }

    /// Builds what `main` has for it and gives the store path, or what nix says.
    pub(crate) fn build(&self, flake: &Flake) -> Result<String, String> {
        let (url, commit) = (flake.url(), flake.git(&["rev-parse", "main"]));
        let host = self.name();
        let system = format!("nixosConfigurations.{host}.config.system.build.toplevel");
        let ended = self.run(&format!(
            "nix build --no-link --print-out-paths '{url}?ref=refs/heads/main&rev={commit}#{system}'"
        ));
        if ended.code == 0 { Ok(ended.out.trim().to_owned()) } else { Err(ended.err) }
    }

    /// The state of a unit.
    pub(crate) fn unit(&self, name: &str) -> Unit {
        let properties = "ActiveState,SubState,Result,MainPID,NRestarts";
        let text = self.sh(&format!("systemctl show --property {properties} {name}"));
        let shown: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
        let text = |name| shown.get(name).map_or_else(String::new, |value| (*value).to_owned());
        let number = |name| shown.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        Unit {
            active: text("ActiveState"),
            sub: text("SubState"),
            result: text("Result"),
            pid: number("MainPID"),
            restarts: number("NRestarts"),
        }
    }

    /// Waits until a unit is as wanted.
    pub(crate) fn unit_becomes(&self, name: &str, wanted: impl Fn(&Unit) -> bool) -> Unit {
        eventually(&format!("{name} on {}", self.name()), || Some(self.unit(name)).filter(&wanted))
    }

    /// The units that have failed, sorted.
    pub(crate) fn failed_units(&self) -> Vec<String> {
        let list = self.sh("systemctl list-units --state=failed --plain --no-legend --all");
        let mut units: Vec<_> =
            list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        units.sort();
        units
    }

    /// What a unit has logged since the host booted.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.sh(&format!("journalctl --no-pager -o cat -u {unit}"))
    }

    /// The record of a job, on or off.
    pub(crate) fn record(&self, id: &str) -> Value {
        let file = self.on_disk("state/jobs").join(id).join("state.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// The record of a job says what was told of it, and this closure runs and is the one that boots.
    pub(crate) fn ended(&self, id: &str, told: &Value, label: &str) {
        self.agrees(id, told);
        assert_eq!(self.label(), label, "{told}");
        let runs = self.current_system();
        assert_eq!((self.system_profile(), self.boot_default()), (runs.clone(), runs), "{told}");
    }

    /// The record of a job says what was told of it.
    pub(crate) fn agrees(&self, id: &str, told: &Value) {
        let report = &self.record(id)["report"];
        for field in ["status", "error", "rolled_back", "message", "system", "generation", "seq"] {
            assert_eq!(report[field], told[field], "{field} of {id}: {told}");
        }
    }

    /// Waits until the log of a job says this.
    pub(crate) fn logs(&self, id: &str, text: &str) {
        let file = self.on_disk("state/jobs").join(id).join("log");
        eventually(&format!("{text:?} in the log of {id}"), || {
            std::fs::read_to_string(&file).unwrap_or_default().contains(text).then_some(())
        });
    }

    /// Waits until what the listener wrote down about its link says this.
    pub(crate) fn proof_says(&self, id: &str, text: &str) {
        let file = self.on_disk("state/jobs").join(id).join("proof.json");
        eventually(&format!("{text:?} in the proof of {id}"), || {
            std::fs::read_to_string(&file).unwrap_or_default().contains(text).then_some(())
        });
    }

    /// Waits until a job has its verdict on disk.
    pub(crate) fn concluded(&self, id: &str) {
        eventually(&format!("the verdict of {id} on disk"), || {
            let status = self.record(id)["report"]["status"].clone();
            ["completed", "failed"].iter().any(|word| status == *word).then_some(())
        });
    }

    /// The store path of the running system.
    pub(crate) fn current_system(&self) -> String {
        self.sh("readlink /run/current-system")
    }

    /// The store path of the system that was booted.
    pub(crate) fn booted_system(&self) -> String {
        self.sh("readlink /run/booted-system")
    }

    /// The label of the running system's closure.
    pub(crate) fn label(&self) -> String {
        self.sh("cat /run/current-system/nixos-version")
    }

    /// The store path that the system profile leads to; also while the host is off.
    pub(crate) fn system_profile(&self) -> String {
        let generation = self.read_link("nix/var/nix/profiles/system");
        self.read_link(&format!("nix/var/nix/profiles/{generation}"))
    }

    /// The generations of the system profile with their store paths; also while the host is off.
    pub(crate) fn generations(&self) -> BTreeMap<u64, String> {
        let entries = fs::read_dir(self.on_disk("nix/var/nix/profiles")).unwrap();
        let names = entries.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let number = |name: &str| name.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok();
        names
            .filter_map(|name| {
                Some((number(&name)?, self.read_link(&format!("nix/var/nix/profiles/{name}"))))
            })
            .collect()
    }

    /// The store path that the boot loader would start; also while the host is off.
    pub(crate) fn boot_default(&self) -> String {
        self.read_link("boot/default")
    }

    fn read_link(&self, path: &str) -> String {
        fs::read_link(self.on_disk(path)).unwrap().into_os_string().into_string().unwrap()
    }
}
