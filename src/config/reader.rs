//! Reads values of the file one by one. What is wrong is noted with its place, and reading goes on.

use super::{Complaint, Place, Problem, Setting, Source};
use crate::protocol::{Name, holds_seed, near};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A key of the file with its place.
pub(crate) type Key<'i> = Spanned<DeString<'i>>;
/// A value of the file with its place.
pub(crate) type Value<'i> = Spanned<DeValue<'i>>;

/// Everything that reading needs, and what it found wrong.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: Arc<Path>,
    pub(crate) home: Option<&'a Path>,
    /// The context that is being read.
    pub(crate) context: Option<Name>,
    pub(crate) problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Reads a file by `each`, or gives all that is wrong with it. `home` is what `~` stands for.
    pub(crate) fn read<T>(
        text: &str,
        path: &Path,
        home: Option<&Path>,
        each: impl FnOnce(&mut Reader<'_>, &Spanned<DeTable<'_>>) -> T,
    ) -> Result<T, Vec<Problem>> {
        let mut reader = Reader { text, file: path.into(), home, context: None, problems: Vec::new() };
        // First of all, so that no other sentence can repeat a seed.
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if holds_seed(line) {
                reader.wrong(&(at..at), Complaint::Seed);
            }
            at += line.len();
        }
        if !reader.problems.is_empty() {
            return Err(reader.problems);
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            reader.wrong(&error.span().unwrap_or(0..0), Complaint::Syntax(message));
        }
        // What a broken file seems to say beyond that would only mislead.
        let read = errors.is_empty().then(|| each(&mut reader, &table));
        reader.problems.sort_by_key(|problem| (problem.line, problem.column));
        read.filter(|_| reader.problems.is_empty()).ok_or(reader.problems)
    }

    /// The name that a key gives to something.
    pub(crate) fn name(&mut self, section: &str, key: &Key<'_>) -> Option<Name> {
        match Name::new(key.get_ref().as_ref()) {
            Ok(name) => Some(name),
            Err(error) => {
                let (key_text, why) = (format!("{section}.{}", key.get_ref()), error.to_string());
                self.wrong(&key.span(), Complaint::BadValue { key: key_text, why });
                None
            }
        }
    }

    pub(crate) fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            context: self.context.clone(),
        }
    }

    pub(crate) fn wrong(&mut self, span: &Range<usize>, complaint: Complaint) {
        let Place { line, column, .. } = self.place(span);
        self.problems.push(Problem { line, column, complaint });
    }

    /// Notes a key that nobody reads, and the nearest of those that could stand there.
    pub(crate) fn unknown(&mut self, key: &Key<'_>, section: &str, known: &[&str]) {
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

    pub(crate) fn wrong_type(&mut self, key: &str, value: &Value<'_>, wanted: &'static str) {
        let found = type_of(value.get_ref());
        self.wrong(&value.span(), Complaint::WrongType { key: key.to_owned(), found, wanted });
    }

    /// Notes a value that is of the right type and yet cannot be.
    pub(crate) fn bad(&mut self, key: &str, value: &Value<'_>, why: impl Display) {
        self.wrong(&value.span(), Complaint::BadValue { key: key.to_owned(), why: why.to_string() });
    }

    /// The keys below a key.
    pub(crate) fn table<'v, 'i>(&mut self, key: &str, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, value, "a table");
        }
        table
    }

    pub(crate) fn text(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<String>> {
        match value.get_ref().as_str() {
            Some("") => self.bad(key, value, "it is empty"),
            Some(text) => return Some(self.set(value, text.to_owned())),
            None => self.wrong_type(key, value, "a text in quotes"),
        }
        None
    }

    /// A text that is read further.
    pub(crate) fn parsed<T>(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<T>>
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

    pub(crate) fn flag(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<bool>> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        flag.map(|flag| self.set(value, flag))
    }

    pub(crate) fn names(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<Vec<Name>>> {
        self.list(key, value, "a list, as in [\"prod\"]", Self::parsed)
    }

    pub(crate) fn texts(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<Vec<String>>> {
        self.list(key, value, "a list of texts in quotes", Self::text)
    }

    fn list<T>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        wanted: &'static str,
        read: impl Fn(&mut Self, &str, &Value<'_>) -> Option<Setting<T>>,
    ) -> Option<Setting<Vec<T>>> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, wanted);
            return None;
        };
        let items: Option<Vec<T>> =
            items.iter().map(|item| read(self, key, item).map(|item| item.value)).collect();
        items.map(|items| self.set(value, items))
    }

    /// The name of a file: `~/` is the home directory, and what is relative lies beside the configuration.
    pub(crate) fn path(&mut self, key: &str, value: &Value<'_>) -> Option<Setting<PathBuf>> {
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
