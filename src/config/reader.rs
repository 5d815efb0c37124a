//! Reads values of a TOML file one by one: the configuration, a fleet file, or the builder's file. A problem is recorded with its
//! position, and the reader continues.

use super::{ConfigProblem, InvalidFile, Location, ProblemKind, Setting, SettingSource};
use crate::protocol::Name;
use crate::text::{closest_matches, holds_seed};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A key of the file with its position.
pub(crate) type TomlKey<'i> = Spanned<DeString<'i>>;
/// A value of the file with its position.
pub(crate) type TomlValue<'i> = Spanned<DeValue<'i>>;

/// The file that is being read, and the problems found so far.
pub(crate) struct ConfigReader<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: Arc<Path>,
    pub(crate) home: Option<&'a Path>,
    /// The context that is being read.
    pub(crate) context: Option<Name>,
    pub(crate) problems: Vec<ConfigProblem>,
}

impl ConfigReader<'_> {
    /// Reads a file with `each`, or returns all of its problems. `home` is the directory that `~` expands to.
    pub(crate) fn read<T>(
        text: &str,
        path: &Path,
        home: Option<&Path>,
        each: impl FnOnce(&mut ConfigReader<'_>, &Spanned<DeTable<'_>>) -> T,
    ) -> Result<T, InvalidFile> {
        let mut reader = ConfigReader { text, file: path.into(), home, context: None, problems: Vec::new() };
        // This check comes first so that no other message can repeat a seed.
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if holds_seed(line) {
                reader.push_problem(&(at..at), ProblemKind::Seed);
            }
            at += line.len();
        }
        if !reader.problems.is_empty() {
            return Err(reader.invalid());
        }
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            reader.push_problem(&error.span().unwrap_or(0..0), ProblemKind::Syntax(message));
        }
        // In a file with syntax errors, further problems would be misleading.
        let read = errors.is_empty().then(|| each(&mut reader, &table));
        read.filter(|_| reader.problems.is_empty()).ok_or_else(|| reader.invalid())
    }

    fn invalid(mut self) -> InvalidFile {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        InvalidFile { path: self.file.to_path_buf(), problems: self.problems }
    }

    /// Parses a key that is a name.
    pub(crate) fn name(&mut self, section: &str, key: &TomlKey<'_>) -> Option<Name> {
        match Name::new(key.get_ref().as_ref()) {
            Ok(name) => Some(name),
            Err(error) => {
                let (key_text, reason) = (format!("{section}.{}", key.get_ref()), error.to_string());
                self.push_problem(&key.span(), ProblemKind::BadValue { key: key_text, reason });
                None
            }
        }
    }

    pub(crate) fn location(&self, span: &Range<usize>) -> Location {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Location {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            context: self.context.clone(),
        }
    }

    pub(crate) fn push_problem(&mut self, span: &Range<usize>, kind: ProblemKind) {
        let Location { line, column, .. } = self.location(span);
        self.problems.push(ConfigProblem { line, column, kind });
    }

    /// Records an unknown key, with the closest of the known keys.
    pub(crate) fn unknown_key(&mut self, key: &TomlKey<'_>, section: &str, known: &[&str]) {
        let text = key.get_ref().as_ref();
        let advice = expected_names(text, known);
        let kind = ProblemKind::UnknownKey { key: text.to_owned(), section: section.to_owned(), advice };
        self.push_problem(&key.span(), kind);
    }

    fn setting<T>(&self, value: &TomlValue<'_>, read: T) -> Setting<T> {
        Setting { value: read, source: SettingSource::File(self.location(&value.span())) }
    }

    pub(crate) fn wrong_type(&mut self, key: &str, value: &TomlValue<'_>, expected: &'static str) {
        let found = type_of(value.get_ref());
        self.push_problem(&value.span(), ProblemKind::WrongType { key: key.to_owned(), found, expected });
    }

    /// Records a value that has the right type but is not valid.
    pub(crate) fn invalid_value(&mut self, key: &str, value: &TomlValue<'_>, reason: impl Display) {
        self.push_problem(
            &value.span(),
            ProblemKind::BadValue { key: key.to_owned(), reason: reason.to_string() },
        );
    }

    /// Returns the keys below a key.
    pub(crate) fn table<'v, 'i>(&mut self, key: &str, value: &'v TomlValue<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, value, "a table");
        }
        table
    }

    pub(crate) fn string(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<String>> {
        match value.get_ref().as_str() {
            Some("") => self.invalid_value(key, value, "it is empty"),
            Some(text) => return Some(self.setting(value, text.to_owned())),
            None => self.wrong_type(key, value, "a quoted string"),
        }
        None
    }

    /// Reads a string and parses it.
    pub(crate) fn parse<T>(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<T>>
    where
        T: FromStr<Err: Display>,
    {
        let text = self.string(key, value)?;
        match text.value.parse() {
            Ok(read) => Some(Setting { value: read, source: text.source }),
            Err(error) => {
                self.invalid_value(key, value, error);
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<bool>> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.wrong_type(key, value, "true or false");
        }
        flag.map(|flag| self.setting(value, flag))
    }

    pub(crate) fn names(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<Vec<Name>>> {
        self.list(key, value, "a list, as in [\"prod\"]", Self::parse)
    }

    pub(crate) fn strings(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<Vec<String>>> {
        self.list(key, value, "a list of quoted strings", Self::string)
    }

    /// Reads a list of strings, each with its own position.
    pub(crate) fn settings(
        &mut self,
        key: &str,
        value: &TomlValue<'_>,
    ) -> Option<Setting<Vec<Setting<String>>>> {
        let each = |reader: &mut Self, key: &str, value: &TomlValue<'_>| {
            let item = reader.string(key, value)?;
            Some(reader.setting(value, item))
        };
        self.list(key, value, "a list of quoted strings", each)
    }

    fn list<T>(
        &mut self,
        key: &str,
        value: &TomlValue<'_>,
        expected: &'static str,
        read: impl Fn(&mut Self, &str, &TomlValue<'_>) -> Option<Setting<T>>,
    ) -> Option<Setting<Vec<T>>> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, value, expected);
            return None;
        };
        let items: Option<Vec<T>> =
            items.iter().map(|item| read(self, key, item).map(|item| item.value)).collect();
        items.map(|items| self.setting(value, items))
    }

    /// Reads a path: `~/` is the home directory, and a relative path is relative to the configuration file.
    pub(crate) fn path(&mut self, key: &str, value: &TomlValue<'_>) -> Option<Setting<PathBuf>> {
        let text = self.string(key, value)?;
        let path = match (text.value.strip_prefix("~/"), self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            (Some(_), None) => {
                self.invalid_value(
                    key,
                    value,
                    "the home directory is unknown: set HOME, or write an absolute path",
                );
                return None;
            }
            (None, _) if text.value.starts_with('~') => {
                self.invalid_value(key, value, "only ~/ is supported: write an absolute path");
                return None;
            }
            (None, _) => self.file.parent().unwrap_or(Path::new("/")).join(&text.value),
        };
        Some(Setting { value: path, source: text.source })
    }
}

/// Advice after an unknown name: the closest known one, or all of them.
pub(crate) fn expected_names(unknown: &str, known: &[&str]) -> String {
    match closest_matches(unknown, known.iter().copied()).first() {
        Some(near) => format!("did you mean {near}?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

/// Names the type of a value, with its article.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
