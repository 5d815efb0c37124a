//! What the output of a rebuild program means: a pure fold of its lines into steps.

use crate::activation::{LogPiece, PhaseLine, Step};
use crate::nix::{NixLine, ProgressReader};
use crate::protocol::{Action, PhaseName, fit_start, printable};

/// How a program's output has been understood so far.
pub(super) struct Narration {
    /// The phase that runs.
    pub(super) phase: PhaseName,
    /// The last ordinary line, made harmless.
    pub(super) last_line: String,
    /// The last sentence that was meant for the report.
    pub(super) note: Option<String>,
    /// The phase to assume where the program tells none: whatever may change the system counts as activating.
    untold: PhaseName,
    /// Whether anything was said.
    spoken: bool,
    /// Whether the last piece ended its line.
    line_ended: bool,
    nix: ProgressReader,
}

impl Narration {
    pub(super) fn new(action: &Action) -> Self {
        let untold = match action {
            Action::Build | Action::DryActivate => PhaseName::Build,
            _ => PhaseName::Activate,
        };
        Self {
            phase: PhaseName::Prepare,
            last_line: String::new(),
            note: None,
            untold,
            spoken: false,
            line_ended: true,
            nix: ProgressReader::default(),
        }
    }

    /// Whether the program may be changing the system, so that it must not be stopped.
    pub(super) fn changes_system(&self) -> bool {
        !matches!(self.phase, PhaseName::Prepare | PhaseName::Build | PhaseName::Check)
    }

    /// Enters a phase that is known from elsewhere, before its line was read.
    pub(super) fn enter(&mut self, phase: PhaseName) -> Option<Step> {
        PhaseLine::goes_on(&self.phase, &phase).then(|| {
            self.spoken = true;
            self.phase = phase.clone();
            Step::Enter(phase)
        })
    }

    /// Folds a piece of output.
    pub(super) fn hear(&mut self, piece: LogPiece) -> Vec<Step> {
        let whole_line = self.line_ended;
        self.line_ended = piece.text.ends_with('\n');
        let line = piece.text.trim_end_matches(['\n', '\r']);
        let mut steps = Vec::new();
        if let Some(told) = PhaseLine::parse(line).filter(|_| whole_line) {
            let told = told.steps();
            // Without a phase it leaves open what the program does.
            self.spoken |= told.iter().any(|step| matches!(step, Step::Enter(_)));
            steps.extend(told);
        } else {
            steps.extend(self.silence());
            match self.nix.line(line).filter(|_| whole_line) {
                Some(NixLine::Progress(progress)) => steps.push(Step::Progress(progress)),
                Some(NixLine::Log(text)) => self.remember(&text),
                None => self.remember(line),
            }
        }
        for step in &steps {
            match step {
                Step::Enter(phase) if PhaseLine::goes_on(&self.phase, phase) => self.phase = phase.clone(),
                Step::Note(note) => self.note = Some(note.clone()),
                _ => {}
            }
        }
        steps.push(Step::Log(piece));
        steps
    }

    /// The program has had its chance to tell a phase first.
    pub(super) fn silence(&mut self) -> Option<Step> {
        if std::mem::replace(&mut self.spoken, true) {
            return None;
        }
        self.phase = self.untold.clone();
        Some(Step::Enter(self.untold.clone()))
    }

    fn remember(&mut self, line: &str) {
        let line = printable(fit_start(line, 1000));
        if !line.trim().is_empty() {
            self.last_line = line;
        }
    }
}
