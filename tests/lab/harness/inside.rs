//! Runs commands inside a host, and reads its state.

use super::flake::Flake;
use super::host::Host;
use crate::common::{CommandOutput, eventually};
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
    /// Id of its main process inside the host; 0 without one.
    pub(crate) pid: u32,
    /// How many times systemd has restarted it automatically.
    pub(crate) restarts: u32,
}

impl Host {
    /// Runs shell in the host, for at most a minute.
    pub(crate) fn run(&self, script: &str) -> CommandOutput {
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
        CommandOutput {
            code: output.status.code().or_else(signal).unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Like [`Self::run`], but must succeed. Returns the output.
    pub(crate) fn sh(&self, script: &str) -> String {
        let output = self.run(script);
        assert_eq!(output.code, 0, "{}: {script}\n{output}", self.name());
        output.stdout.trim().to_owned()
    }

    /// Builds the host's system from `main`; returns the store path or the error of nix.
    pub(crate) fn build(&self, flake: &Flake) -> Result<String, String> {
        let (url, commit) = (flake.url(), flake.git(&["rev-parse", "main"]));
        let host = self.name();
        let system = format!("nixosConfigurations.{host}.config.system.build.toplevel");
        let output = self.run(&format!(
            "nix build --no-link --print-out-paths '{url}?ref=refs/heads/main&rev={commit}#{system}'"
        ));
        if output.code == 0 { Ok(output.stdout.trim().to_owned()) } else { Err(output.stderr) }
    }

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

    /// Waits until a unit has a state.
    pub(crate) fn unit_becomes(&self, name: &str, is_expected: impl Fn(&Unit) -> bool) -> Unit {
        eventually(&format!("{name} on {}", self.name()), || Some(self.unit(name)).filter(&is_expected))
    }

    /// Returns the failed units, sorted.
    pub(crate) fn failed_units(&self) -> Vec<String> {
        let list = self.sh("systemctl list-units --state=failed --plain --no-legend --all");
        let mut units: Vec<_> =
            list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
        units.sort();
        units
    }

    /// Returns the journal of a unit since the host booted.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.sh(&format!("journalctl --no-pager -o cat -u {unit}"))
    }

    /// Reads the record of a job, with the host on or off.
    pub(crate) fn record(&self, id: &str) -> Value {
        let file = self.on_disk("state/jobs").join(id).join("state.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// Asserts that the record agrees with the report, and that this closure runs and is the boot default.
    pub(crate) fn assert_result(&self, id: &str, report: &Value, label: &str) {
        self.assert_record(id, report);
        assert_eq!(self.label(), label, "{report}");
        let runs = self.current_system();
        assert_eq!((self.system_profile(), self.boot_default()), (runs.clone(), runs), "{report}");
    }

    /// Asserts that the record of a job agrees with the report.
    pub(crate) fn assert_record(&self, id: &str, report: &Value) {
        let record = self.record(id);
        for field in ["status", "error", "rolled_back", "message", "system", "generation", "seq"] {
            assert_eq!(record["report"][field], report[field], "{field} of {id}: {report}");
        }
    }

    /// Waits until the log of a job contains a text.
    pub(crate) fn wait_for_log(&self, id: &str, text: &str) {
        let file = self.on_disk("state/jobs").join(id).join("log");
        eventually(&format!("{text:?} in the log of {id}"), || {
            std::fs::read_to_string(&file).unwrap_or_default().contains(text).then_some(())
        });
    }

    /// Waits until the confirmation of a job contains a text.
    pub(crate) fn wait_for_confirmation(&self, id: &str, text: &str) {
        let file = self.on_disk("state/jobs").join(id).join("confirmation.json");
        eventually(&format!("{text:?} in the confirmation of {id}"), || {
            std::fs::read_to_string(&file).unwrap_or_default().contains(text).then_some(())
        });
    }

    /// Waits until the result of a job is on disk.
    pub(crate) fn wait_until_finished(&self, id: &str) {
        eventually(&format!("the result of {id} on disk"), || {
            let status = self.record(id)["report"]["status"].clone();
            ["completed", "failed"].iter().any(|word| status == *word).then_some(())
        });
    }

    /// Store path of the running system.
    pub(crate) fn current_system(&self) -> String {
        self.sh("readlink /run/current-system")
    }

    /// Store path of the booted system.
    pub(crate) fn booted_system(&self) -> String {
        self.sh("readlink /run/booted-system")
    }

    /// Label of the running system's closure.
    pub(crate) fn label(&self) -> String {
        self.sh("cat /run/current-system/nixos-version")
    }

    /// Store path of the system profile, with the host on or off.
    pub(crate) fn system_profile(&self) -> String {
        let generation = self.read_link("nix/var/nix/profiles/system");
        self.read_link(&format!("nix/var/nix/profiles/{generation}"))
    }

    /// Generations of the system profile with their store paths, with the host on or off.
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

    /// Store path of the boot loader's default, with the host on or off.
    pub(crate) fn boot_default(&self) -> String {
        self.read_link("boot/default")
    }

    fn read_link(&self, path: &str) -> String {
        fs::read_link(self.on_disk(path)).unwrap().into_os_string().into_string().unwrap()
    }
}
