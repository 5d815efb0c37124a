//! Reads values of the file one by one. What is wrong is noted with its place, and reading goes on.

use super::{Complaint, Place, Problem, Setting, Source};
use crate::protocol::{Name, near};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A key of the file with its place.
pub(super) type Key<'i> = Spanned<DeString<'i>>;
/// A value of the file with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Everything that reading needs, and what it found wrong.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: Arc<Path>,
    pub(super) home: Option<&'a Path>,
    /// The context that is being read.
    pub(super) context: Option<Name>,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            context: self.context.clone(),
        }
    }

    pub(super) fn wrong(&mut self, span: &Range<usize>, complaint: Complaint) {
        let Place { line, column, .. } = self.place(span);
        self.problems.push(Problem { line, column, complaint });
    }

    /// Notes a key that nobody reads, and the nearest of those that could stand there.
    pub(super) fn unknown(&mut self, key: &Key<'_>, section: &str, known: &[&str]) {
        let text = key.get_ref().as_ref();
        let advice = match near(text, known.iter().copied()).first() {
            Some(near) => format!("did you mean {near}?"),
            None => format!("the keys there are {}", known.join(", ")),
        };
        let complaint = Complaint::UnknownKey { key: text.to_owned(), section: section.to_owned(), advice };
        self.wrong(&key.span(), complaint);
    }

    fn set<T>(&self, value: &Value<'_>, read: T) -> Setting<T> {
        Setting { value: read, source: Source::File(self.place(&value.span())) }
    }

    fn wrong_type(&mut self, key: &str, value: &Value<'_>, wanted: &'static str) {
        let found = type_of(value.get_ref());
        self.wrong(&value.span(), Complaint::WrongType { key: key.to_owned(), found, wanted });
    }

    /// Notes a value that is of the right type and yet cannot be.
    pub(super) fn bad(&mut self, key: &str, value: &Value<'_>, why: impl Display) {
        self.wrong(&value.span(), Complaint::BadValue { key: key.to_owned(), why: why.to_string() });
    }

    /// The keys below a key.
    pub(super) fn table<'v, 'i>(&mut self, key: &str, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, value, "a table");
        }
        table
    }

    pub(super) fn text(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<String>> {
        match value.get_ref().as_str() {
            Some("") => self.bad(key, value, "it is empty"),
            Some(text) => return Some(self.set(value, text.to_owned())),
            None => self.wrong_type(key, value, "a text in quotes"),
        }
        None
    }

    /// A text that is read further.
    pub(super) fn parsed<T>(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<T>>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.text(key, value)?;
        match text.value.parse() {
            Ok(read) => Some(Setting { value: read, source: text.source }),
            Err(error) => {
                self.bad(key, value, error);
                None
            }
        }
    }

    pub(super) fn flag(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<bool>> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        flag.map(|flag| self.set(value, flag))
    }

    pub(super) fn names(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<Vec<Name>>> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, "a list, as in [\"prod\"]");
            return None;
        };
        let names: Option<Vec<Name>> =
            items.iter().map(|item| self.parsed(key, item).map(|name| name.value)).collect();
        names.map(|names| self.set(value, names))
    }

    /// The name of a file: `~/` is the home directory, and what is relative lies beside the configuration.
    pub(super) fn path(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<PathBuf>> {
        let text = self.text(key, value)?;
        let path = match (text.value.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_), None) => {
                self.bad(key, value, "the home directory is not known: set HOME, or write the whole path");
                return None;
            }
            (None, _) if text.value.starts_with('~') => {
                self.bad(key, value, "only ~/ is understood: write the whole path");
                return None;
            }
            (None, _) => self.file.parent().unwrap_or(Path::new("/")).join(&text.value),
        };
        Some(Setting { value: path, source: text.source })
    }
}

/// What stands there, with its article.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
