//! What messages mean to whoever follows a log.

use super::{Joiner, LogFollow, LogNews, LogStart, Until};
use crate::protocol::{Answer, Inbound, LogAnswer, LogLine};

impl LogFollow {
    pub(super) fn on_message(&mut self, message: Inbound) {
        if *message.hostname() != self.host {
            return;
        }
        match message {
            Inbound::Log(line) if line.id == self.job => self.on_line(line),
            Inbound::Report(report) if report.id.as_ref() == Some(&self.job) && report.status.is_final() => {
                self.question.want();
            }
            Inbound::Presence(answer) if answer.online != Some(false) => self.on_presence(),
            Inbound::Answer(id, answer) if id == *self.answers_to.id() => match answer {
                Answer::Log(answer) if answer.id.as_ref() == Some(&self.job) => self.on_answer(answer),
                Answer::Host(_) => self.on_silence(),
                _ => {}
            },
            _ => {}
        }
    }

    /// The host is there: a question that it has not answered by now may have come before it was.
    fn on_presence(&mut self) {
        if self.silent || self.question.is_open() {
            self.question.pass();
        }
    }

    fn on_line(&mut self, line: LogLine) {
        let mut gap = false;
        // Where the text begins is not known yet: what is asked for then will hold this line.
        if let Some(joiner) = &mut self.joiner {
            joiner.add(line.offset, line.text);
            gap = joiner.gap().is_some();
        }
        // The answer to an open question will tell whether the gap remains.
        if (gap && !self.question.is_open()) || self.silent {
            self.question.want();
        }
    }

    fn on_answer(&mut self, answer: LogAnswer) {
        let was_silent = std::mem::take(&mut self.silent);
        let Some(offset) = answer.offset else {
            self.finish(LogNews::Missing);
            return;
        };
        let text = answer.text.unwrap_or_default();
        let end = offset.saturating_add(text.len() as u64);
        if answer.eof {
            self.kept.get_or_insert(end);
        }
        let Some(joiner) = &mut self.joiner else {
            self.begin(end);
            self.pending = was_silent.then_some(LogNews::Back);
            return;
        };
        let known = joiner.end();
        joiner.add(offset, text);
        let more = joiner.end() > known && !answer.eof;
        let helped = joiner.gap().is_none();
        let enough = !answer.running || self.until == Until::Now;
        if answer.eof && enough && joiner.end() >= end {
            self.finish(LogNews::End);
        } else {
            if was_silent && joiner.end() == known {
                self.pending = Some(LogNews::Back);
            }
            self.question.answered(more, helped);
        }
    }

    /// The length of the log is known, and so is where to begin.
    fn begin(&mut self, length: u64) {
        let start = match self.start {
            LogStart::From(byte) => byte,
            LogStart::Last(bytes) => length.saturating_sub(bytes),
        };
        self.within_line = start > 0;
        self.joiner = Some(Joiner::new(start.saturating_sub(1)));
        self.question.pass();
    }

    pub(super) fn on_alarm(&mut self) {
        if self.question.is_open() && self.link.borrow().up {
            self.on_silence();
        } else {
            self.question.pass();
        }
    }

    fn on_silence(&mut self) {
        if !self.silent {
            self.silent = true;
            self.pending = Some(LogNews::Silent);
        }
        self.question.unanswered();
    }

    fn finish(&mut self, news: LogNews) {
        self.pending = Some(news);
        self.over = true;
    }
}
