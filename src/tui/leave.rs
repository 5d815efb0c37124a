//! The dialog before the console ends while batches of its rollouts are not sent.

use super::Effect;

/// What to do with the rest of the rollouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveChoice {
    /// Do not leave.
    Stay,
    /// Another process continues.
    Background,
    /// Send no further batch.
    Stop,
}

/// The dialog before leaving.
#[derive(Debug)]
pub struct LeaveDialog {
    /// What is not sent.
    pub text: String,
    choices: &'static [LeaveChoice],
    chosen: usize,
    /// Whether another process is taking over.
    pub is_handing_over: bool,
    /// The effect that leaves.
    pub(super) then: Box<Effect>,
}

impl LeaveDialog {
    pub(super) fn new(text: String, can_continue: bool, then: Effect) -> Self {
        let choices: &[_] = if can_continue {
            &[LeaveChoice::Background, LeaveChoice::Stop, LeaveChoice::Stay]
        } else {
            &[LeaveChoice::Stop, LeaveChoice::Stay]
        };
        Self { text, choices, chosen: choices.len() - 1, is_handing_over: false, then: Box::new(then) }
    }

    /// The available choices, in display order.
    pub fn choices(&self) -> &'static [LeaveChoice] {
        self.choices
    }

    /// The selected choice; initially the one that stays.
    pub fn choice(&self) -> LeaveChoice {
        self.choices[self.chosen]
    }

    pub(super) fn turn(&mut self, forward: bool) {
        let step = if forward { 1 } else { self.choices.len() - 1 };
        self.chosen = (self.chosen + step) % self.choices.len();
    }
}
