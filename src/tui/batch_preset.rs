//! Ways to split hosts into batches that a form offers.

/// Number of hosts from which on batches are the default.
const MANY: usize = 20;

/// A way to split hosts into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPreset {
    /// The options.
    pub options: &'static str,
    /// What they do.
    pub label: &'static str,
}

const fn preset(options: &'static str, label: &'static str) -> BatchPreset {
    BatchPreset { options, label }
}

/// The presets, in the order in which left and right go through them.
pub const BATCH_PRESETS: [BatchPreset; 5] = [
    preset("", "all at once"),
    preset("canary=1 batch=25%", "canary, then 25 %"),
    preset("canary=1", "canary, then the rest"),
    preset("batch=25%", "25 %"),
    preset("batch=1", "one by one"),
];

impl BatchPreset {
    /// The preset with these options.
    pub fn of(options: &str) -> Option<Self> {
        BATCH_PRESETS.into_iter().find(|preset| preset.options == options.trim())
    }

    /// The default options for a deployment to this many hosts.
    pub fn default_for(hosts: usize) -> &'static str {
        if hosts > MANY { BATCH_PRESETS[1].options } else { "" }
    }

    /// The next or previous preset.
    #[must_use]
    pub fn turn(self, forward: bool) -> Self {
        let at = BATCH_PRESETS.iter().position(|preset| *preset == self).unwrap_or(0);
        let step = if forward { 1 } else { BATCH_PRESETS.len() - 1 };
        BATCH_PRESETS[(at + step) % BATCH_PRESETS.len()]
    }
}
