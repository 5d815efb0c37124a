//! Edits the fleet file to replace the key of an entry: first it has two keys, then only the new one. Comments, the
//! order of fields and the rest of the file stay unchanged.

use super::fleet_file::{User, parse_fleet_file};
use crate::config::InvalidFile;
use crate::text::{closest_matches, did_you_mean};
use std::path::Path;
use toml_edit::{DocumentMut, Item, RawString, value};

const CURRENT: &str = "public_key";
const NEXT: &str = "next_public_key";

/// An error that prevents a key rotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The fleet file is invalid, before or after the edit.
    #[error(transparent)]
    File(#[from] InvalidFile),
    /// No entry has this name.
    #[error(
        "there is no entry {name:?}{}: expected the name of a host or operator in the fleet file",
        did_you_mean(.near)
    )]
    Unknown {
        /// The name that was not found.
        name: String,
        /// Similar names.
        near: Vec<String>,
    },
    /// Both a host and an operator have this name.
    #[error("{0:?} is both a host and an operator: write hosts.{0} or operators.{0}")]
    Ambiguous(String),
    /// The entry already has a next key.
    #[error(
        "{0} has a next_public_key already: finish that rotation with --finish, or remove the field if its seed is lost"
    )]
    AlreadyStarted(String),
    /// The entry has no next key.
    #[error(
        "{0} has no next_public_key, so no rotation is in progress: start one without --status and --finish"
    )]
    NotStarted(String),
    /// The layout of the file does not allow an edit of one field.
    #[error("{0} cannot be changed in place: write it as a section [{0}] with one field a line")]
    Layout(String),
}

/// Finds the entry with this name: `alice`, or `operators.alice` if a host has the same name.
pub fn find_entry<'a>(users: &'a [User], name: &str) -> Result<&'a User, RotationError> {
    let short = |user: &'a User| user.entry.split_once('.').map_or("", |(_, short)| short);
    let mut named = users.iter().filter(|user| user.entry == name || short(user) == name);
    match (named.next(), named.next()) {
        (Some(user), None) => Ok(user),
        (Some(_), Some(_)) => Err(RotationError::Ambiguous(name.to_owned())),
        (None, _) => {
            let known = users.iter().map(short).chain(users.iter().map(|user| user.entry.as_str()));
            Err(RotationError::Unknown {
                name: name.to_owned(),
                near: closest_matches(name, known).into_iter().map(str::to_owned).collect(),
            })
        }
    }
}

/// Returns the file with `key` as the next key of an entry, which keeps its current key.
pub fn start_rotation(text: &str, entry: &str, key: &str) -> Result<String, RotationError> {
    if find_entry(&parse(text)?, entry)?.next_public_key.is_some() {
        return Err(RotationError::AlreadyStarted(entry.to_owned()));
    }
    edit_entry(text, entry, |fields| add_next_key(fields, key))
}

/// Returns the file with the current key of an entry replaced by its next key.
pub fn finish_rotation(text: &str, entry: &str) -> Result<String, RotationError> {
    if find_entry(&parse(text)?, entry)?.next_public_key.is_none() {
        return Err(RotationError::NotStarted(entry.to_owned()));
    }
    edit_entry(text, entry, promote_next_key)
}

/// Parses the text, whose file the caller names.
fn parse(text: &str) -> Result<Vec<User>, InvalidFile> {
    parse_fleet_file(text, Path::new("the changed file"))
}

/// Edits one entry, and checks that the result is valid.
fn edit_entry(
    text: &str,
    entry: &str,
    edit: impl FnOnce(&mut Item) -> Option<()>,
) -> Result<String, RotationError> {
    let layout = || RotationError::Layout(entry.to_owned());
    let mut file: DocumentMut = text.parse().map_err(|_| layout())?;
    let (section, name) = entry.split_once('.').ok_or_else(layout)?;
    let fields = file.get_mut(section).and_then(|section| section.get_mut(name)).ok_or_else(layout)?;
    edit(fields).ok_or_else(layout)?;
    let mut changed = file.to_string();
    // `toml_edit` writes only LF line endings.
    if text.matches('\n').count() == text.matches("\r\n").count() {
        changed = changed.replace('\n', "\r\n");
    }
    parse(&changed)?;
    Ok(changed)
}

fn add_next_key(fields: &mut Item, key: &str) -> Option<()> {
    // In an inline table, the last value owns the blank before the closing brace.
    let closing = fields.as_inline_table_mut().and_then(|fields| {
        let (_, last) = fields.iter_mut().last()?;
        let blank = last.decor().suffix().cloned();
        last.decor_mut().set_suffix("");
        blank
    });
    fields.as_table_like_mut()?.insert(NEXT, value(key));
    if let Some(closing) = closing {
        fields.as_inline_table_mut()?.get_mut(NEXT)?.decor_mut().set_suffix(closing);
    }
    Some(())
}

fn promote_next_key(fields: &mut Item) -> Option<()> {
    let is_inline = fields.is_inline_table();
    let fields = fields.as_table_like_mut()?;
    let above = raw_string(fields.key(NEXT)?.leaf_decor().prefix());
    let mut next = fields.remove(NEXT)?.into_value().ok()?;
    let present = fields.get_mut(CURRENT)?.as_value_mut()?;
    // A comment after the new key describes that key. A comment after the old key is kept only if the new one has none.
    let behind = raw_string(next.decor().suffix());
    if is_inline || !behind.contains('#') {
        next.decor_mut().set_suffix(raw_string(present.decor().suffix()));
    }
    next.decor_mut().set_prefix(raw_string(present.decor().prefix()));
    *present = next;
    if above.contains('#') {
        let mut key = fields.key_mut(CURRENT)?;
        let comments = raw_string(key.leaf_decor().prefix()) + &above;
        key.leaf_decor_mut().set_prefix(comments);
    }
    if is_inline {
        let (_, last) = fields.iter_mut().last()?;
        last.as_value_mut()?.decor_mut().set_suffix(behind);
    }
    Some(())
}

fn raw_string(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or_default().to_owned()
}
