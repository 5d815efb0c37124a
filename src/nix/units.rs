//! Parses the changed units from the output of `switch-to-configuration`.

use crate::text::printable;

/// The units that an activation changes. Each unit is in one list, in the order of the output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitChanges {
    /// Units that stop and stay stopped.
    pub stopped: Vec<String>,
    /// Units that start and were not running.
    pub started: Vec<String>,
    /// Units that restart, or stop before the activation and start again after it.
    pub restarted: Vec<String>,
    /// Units that reload.
    pub reloaded: Vec<String>,
    /// Units that changed but keep running unchanged.
    pub not_restarted: Vec<String>,
    /// Units that failed.
    pub failed: Vec<String>,
}

/// Parses the output of `switch-to-configuration dry-activate` or of a real activation. User units are left out.
pub fn parse_unit_changes(text: &str) -> UnitChanges {
    let mut units = UnitChanges::default();
    for line in text.lines() {
        let line = printable(line);
        let line = ["warning: ", "would "]
            .into_iter()
            .fold(line.trim_start(), |line, before| line.strip_prefix(before).unwrap_or(line));
        let Some((heading, names)) = line.split_once(": ") else { continue };
        let list = match heading {
            "stop the following units" | "stopping the following units" => &mut units.stopped,
            "start the following units"
            | "starting the following units"
            | "the following new units were started" => &mut units.started,
            "restart the following units" | "restarting the following units" => &mut units.restarted,
            "reload the following units" | "reloading the following units" => &mut units.reloaded,
            "NOT stop the following changed units"
            | "NOT restart the following changed units"
            | "NOT restarting the following changed units" => &mut units.not_restarted,
            "the following units failed" => &mut units.failed,
            _ => continue,
        };
        let names = names.split(", ").map(str::trim).filter(|name| !name.is_empty());
        list.extend(names.map(str::to_owned));
    }
    units.normalize();
    units
}

impl UnitChanges {
    /// Moves units that stop and start to `restarted`, and removes duplicates.
    fn normalize(&mut self) {
        let again: Vec<String> =
            self.stopped.iter().filter(|unit| self.started.contains(unit)).cloned().collect();
        self.restarted.extend(again);
        for list in [&mut self.stopped, &mut self.started] {
            list.retain(|unit| !self.restarted.contains(unit));
        }
        for list in [
            &mut self.stopped,
            &mut self.started,
            &mut self.restarted,
            &mut self.reloaded,
            &mut self.not_restarted,
            &mut self.failed,
        ] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|unit| seen.insert(unit.clone()));
        }
    }
}
