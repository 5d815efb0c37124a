//! The units that an activation touches, read from what `switch-to-configuration` prints.

use crate::protocol::printable;

/// The units that an activation touches, each in one list only, in the order in which they are named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Units {
    /// Units that stop and stay stopped.
    pub stopped: Vec<String>,
    /// Units that start and did not run before.
    pub started: Vec<String>,
    /// Units that restart, or stop before the activation and start again after it.
    pub restarted: Vec<String>,
    /// Units that reload.
    pub reloaded: Vec<String>,
    /// Units that have changed and are left as they run.
    pub left: Vec<String>,
    /// Units that failed.
    pub failed: Vec<String>,
}

/// Reads the output of `switch-to-configuration dry-activate`, or of a real activation. Units of users are left out.
pub fn units_of_activation(text: &str) -> Units {
    let mut units = Units::default();
    for line in text.lines() {
        let line = printable(line);
        let line = ["warning: ", "would "]
            .into_iter()
            .fold(line.trim_start(), |line, before| line.strip_prefix(before).unwrap_or(line));
        let Some((what, names)) = line.split_once(": ") else { continue };
        let list = match what {
            "stop the following units" | "stopping the following units" => &mut units.stopped,
            "start the following units"
            | "starting the following units"
            | "the following new units were started" => &mut units.started,
            "restart the following units" | "restarting the following units" => &mut units.restarted,
            "reload the following units" | "reloading the following units" => &mut units.reloaded,
            "NOT stop the following changed units"
            | "NOT restart the following changed units"
            | "NOT restarting the following changed units" => &mut units.left,
            "the following units failed" => &mut units.failed,
            _ => continue,
        };
        let names = names.split(", ").map(str::trim).filter(|name| !name.is_empty());
        list.extend(names.map(str::to_owned));
    }
    units.settle();
    units
}

impl Units {
    /// Puts each unit into the one list that tells its way from before to after.
    fn settle(&mut self) {
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
            &mut self.left,
            &mut self.failed,
        ] {
            let mut seen = std::collections::HashSet::new();
            list.retain(|unit| seen.insert(unit.clone()));
        }
    }
}
