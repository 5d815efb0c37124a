//! Interprets the output of a rebuild program: a pure fold of its lines into events.

use crate::activation::{JobEvent, LogPiece, ProgressMarker};
use crate::nix::{NixLine, ProgressReader};
use crate::protocol::{Action, PhaseName};
use crate::text::{fitting_prefix, printable};

/// The state of the interpretation so far.
pub(super) struct OutputParser {
    /// The current phase.
    pub(super) phase: PhaseName,
    /// The last ordinary line, without control characters.
    pub(super) last_line: String,
    /// The last message for the report.
    pub(super) note: Option<String>,
    /// The phase to assume if the program reports none: everything that may change the system counts as activating.
    default_phase: PhaseName,
    /// Whether the program reported a phase, or one was assumed.
    has_phase: bool,
    /// Whether the last piece ended with a line end.
    line_ended: bool,
    nix: ProgressReader,
}

impl OutputParser {
    pub(super) fn new(action: &Action) -> Self {
        let default_phase = match action {
            Action::Build | Action::DryActivate => PhaseName::Build,
            _ => PhaseName::Activate,
        };
        Self {
            phase: PhaseName::Prepare,
            last_line: String::new(),
            note: None,
            default_phase,
            has_phase: false,
            line_ended: true,
            nix: ProgressReader::default(),
        }
    }

    /// Whether the program may be changing the system, so that it must not be stopped.
    pub(super) fn changes_system(&self) -> bool {
        !matches!(self.phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check)
    }

    /// Enters a phase that is known from another source, before its line was read.
    pub(super) fn enter(&mut self, phase: PhaseName) -> Option<JobEvent> {
        ProgressMarker::may_follow(&self.phase, &phase).then(|| {
            self.has_phase = true;
            self.phase = phase.clone();
            JobEvent::PhaseStarted(phase)
        })
    }

    /// Processes a piece of output, and returns its events.
    pub(super) fn parse(&mut self, piece: LogPiece) -> Vec<JobEvent> {
        let whole_line = self.line_ended;
        self.line_ended = piece.text.ends_with('\n');
        let line = piece.text.trim_end_matches(['\n', '\r']);
        let mut events = Vec::new();
        if let Some(marker) = ProgressMarker::parse(line).filter(|_| whole_line) {
            let marker = marker.events();
            // A marker without a phase does not show what the program does.
            self.has_phase |= marker.iter().any(|event| matches!(event, JobEvent::PhaseStarted(_)));
            events.extend(marker);
        } else {
            events.extend(self.assume_phase());
            match self.nix.line(line).filter(|_| whole_line) {
                Some(NixLine::Progress(progress)) => events.push(JobEvent::Progress(progress)),
                Some(NixLine::Log(text)) => self.keep_last_line(&text),
                None => self.keep_last_line(line),
            }
        }
        for event in &events {
            match event {
                JobEvent::PhaseStarted(phase) if ProgressMarker::may_follow(&self.phase, phase) => {
                    self.phase = phase.clone();
                }
                JobEvent::Note(note) => self.note = Some(note.clone()),
                _ => {}
            }
        }
        events.push(JobEvent::Log(piece));
        events
    }

    /// Assumes the default phase if the program did not report one.
    pub(super) fn assume_phase(&mut self) -> Option<JobEvent> {
        if std::mem::replace(&mut self.has_phase, true) {
            return None;
        }
        self.phase = self.default_phase.clone();
        Some(JobEvent::PhaseStarted(self.default_phase.clone()))
    }

    fn keep_last_line(&mut self, line: &str) {
        let line = printable(fitting_prefix(line, 1000));
        if !line.trim().is_empty() {
            self.last_line = line;
        }
    }
}
