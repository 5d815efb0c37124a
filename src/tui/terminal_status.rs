//! What the console tells the terminal beside its frames: the title, the progress of its deployments, and their end.

use super::App;
use super::known_deployment::KnownDeployment;
use super::sent_deployment::SentDeploymentState;
use crate::text::{format, printable};
use std::io::{self, Write};

/// The longest title and notification, in characters.
const MAX_LEN: usize = 120;

/// What the console may tell the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each can be switched off")]
pub struct TerminalFeatures {
    /// The title of the window or tab.
    pub title: bool,
    /// The progress in the taskbar or tab.
    pub progress: bool,
    /// A notification of the desktop.
    pub notify: bool,
    /// The bell.
    pub bell: bool,
}

impl TerminalFeatures {
    /// No feature.
    pub const NONE: Self = Self { title: false, progress: false, notify: false, bell: false };

    /// Without those that this terminal would show as text or misunderstand.
    #[must_use]
    pub fn supported(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        match (variable("TERM").as_deref(), variable("TERM_PROGRAM").as_deref()) {
            (None | Some("dumb" | "linux" | "vt100" | "vt220"), _) => Self { bell: self.bell, ..Self::NONE },
            // Older versions show the progress as a notification.
            (_, Some("iTerm.app")) => Self { progress: false, ..self },
            _ => self,
        }
    }
}

/// The progress of the deployments of this console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminalProgress {
    /// In per cent.
    Running(u8),
    /// Some hosts failed.
    Failing(u8),
    /// An operator or a limit holds it back.
    Held(u8),
}

/// What the terminal shows beside the frame.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TerminalStatus {
    /// The title.
    pub title: String,
    /// The progress; `None` if nothing runs.
    pub progress: Option<TerminalProgress>,
}

impl TerminalStatus {
    /// The status for the newest running deployment of this console, or else for the fleet.
    pub fn of(app: &App) -> Self {
        let place = app.options.context.as_deref().map_or_else(|| "homelab-deploy".to_owned(), printable);
        let active =
            app.sent_deployments.iter().rev().filter(|sent| sent.state == SentDeploymentState::Active);
        let mut known = active.filter_map(|sent| Some((sent, KnownDeployment::of(app, &sent.plan.id)?)));
        let running = known.find(|(_, known)| known.creates_jobs() && known.is_under_way());
        let Some((_, known)) = running else {
            let hosts = format::count(app.fleet.hosts.len(), "host");
            return Self { title: format!("{place}: {hosts}"), progress: None };
        };
        let (counts, no_answer, unsent) = known.counts();
        let all = counts.ended() + counts.running + no_answer + unsent;
        let percent = u8::try_from(counts.ended() * 100 / all.max(1)).unwrap_or(100);
        let is_held = known.rollout.is_some_and(|rollout| rollout.is_open() && rollout.is_held());
        let progress = if is_held {
            TerminalProgress::Held(percent)
        } else if counts.failed + counts.rejected > 0 {
            TerminalProgress::Failing(percent)
        } else {
            TerminalProgress::Running(percent)
        };
        let held = if is_held { ", held" } else { "" };
        let title =
            format!("{percent} %{held} {} on {} - {place}", known.title(), format::count(all, "host"));
        Self { title: shortened(&title), progress: Some(progress) }
    }

    /// Writes what has changed since `before`.
    pub(super) fn write(
        &self,
        before: &Self,
        features: TerminalFeatures,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if features.title && self.title != before.title {
            write!(out, "\u{1b}]2;{}\u{7}", self.title)?;
        }
        if features.progress && self.progress != before.progress {
            match self.progress {
                None => write!(out, "\u{1b}]9;4;0;0\u{7}")?,
                Some(TerminalProgress::Running(percent)) => write!(out, "\u{1b}]9;4;1;{percent}\u{7}")?,
                Some(TerminalProgress::Failing(percent)) => write!(out, "\u{1b}]9;4;2;{percent}\u{7}")?,
                Some(TerminalProgress::Held(percent)) => write!(out, "\u{1b}]9;4;4;{percent}\u{7}")?,
            }
        }
        out.flush()
    }
}

/// Writes a notification and the bell.
pub(super) fn notify(text: &str, features: TerminalFeatures, out: &mut impl Write) -> io::Result<()> {
    let text = shortened(&printable(text));
    if features.notify {
        // A semicolon would end the title of the second form.
        write!(out, "\u{1b}]9;{text}\u{7}\u{1b}]777;notify;homelab-deploy;{text}\u{7}")?;
    }
    if features.bell {
        write!(out, "\u{7}")?;
    }
    out.flush()
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_LEN).collect()
}
