//! Changes the fleet file so that an entry's key is replaced: first it has two keys, then the new one alone. Comments, order and
//! everything else in the file stay as they are.

use super::fleet_file::{FleetFileError, User, parse_fleet_file};
use crate::protocol::near;
use toml_edit::{DocumentMut, Item, RawString, value};

const PRESENT: &str = "public_key";
const NEXT: &str = "next_public_key";

/// Why a key is not rotated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The file before the change, or what the change would have made of it.
    #[error(transparent)]
    File(#[from] FleetFileError),
    /// No entry has this name.
    #[error(
        "there is no entry {name:?}{}: expected the name of a host or operator in the fleet file",
        did_you_mean(.near)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// A host and an operator have this name.
    #[error("{0:?} is both a host and an operator: write hosts.{0} or operators.{0}")]
    Ambiguous(String),
    /// It has a next key already.
    #[error(
        "{0} has a next_public_key already: finish that rotation with --finish, or remove the field if its seed is lost"
    )]
    Begun(String),
    /// It has no next key.
    #[error(
        "{0} has no next_public_key, so its key is not being replaced: begin without --status and --finish"
    )]
    NotBegun(String),
    /// The file is not laid out so that one field can be changed.
    #[error("{0} cannot be changed in place: write it as a section [{0}] with one field a line")]
    Layout(String),
}

fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (did you mean {}?)", names.join(", ")) }
}

/// The entry of this name: `alice`, or `operators.alice` if a host has that name too.
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
                near: near(name, known).into_iter().map(str::to_owned).collect(),
            })
        }
    }
}

/// The file with `key` as the next key of an entry, which keeps its present one.
pub fn begin_rotation(text: &str, entry: &str, key: &str) -> Result<String, RotationError> {
    if find_entry(&parse_fleet_file(text)?, entry)?.next_public_key.is_some() {
        return Err(RotationError::Begun(entry.to_owned()));
    }
    change(text, entry, |fields| add(fields, key))
}

/// The file with the next key of an entry in the place of its present one.
pub fn finish_rotation(text: &str, entry: &str) -> Result<String, RotationError> {
    if find_entry(&parse_fleet_file(text)?, entry)?.next_public_key.is_none() {
        return Err(RotationError::NotBegun(entry.to_owned()));
    }
    change(text, entry, promote)
}

/// Changes one entry, and checks that the result can be read.
fn change(
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
    // The crate writes one kind of line end.
    if text.matches('\n').count() == text.matches("\r\n").count() {
        changed = changed.replace('\n', "\r\n");
    }
    parse_fleet_file(&changed)?;
    Ok(changed)
}

fn add(fields: &mut Item, key: &str) -> Option<()> {
    // The last value between braces owns the blank before the closing one.
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

fn promote(fields: &mut Item) -> Option<()> {
    let is_inline = fields.is_inline_table();
    let fields = fields.as_table_like_mut()?;
    let above = text_of(fields.key(NEXT)?.leaf_decor().prefix());
    let mut next = fields.remove(NEXT)?.into_value().ok()?;
    let present = fields.get_mut(PRESENT)?.as_value_mut()?;
    // A comment behind the new key is about it; one behind the old key is kept if the new one has none.
    let behind = text_of(next.decor().suffix());
    if is_inline || !behind.contains('#') {
        next.decor_mut().set_suffix(text_of(present.decor().suffix()));
    }
    next.decor_mut().set_prefix(text_of(present.decor().prefix()));
    *present = next;
    if above.contains('#') {
        let mut key = fields.key_mut(PRESENT)?;
        let kept = text_of(key.leaf_decor().prefix()) + &above;
        key.leaf_decor_mut().set_prefix(kept);
    }
    if is_inline {
        let (_, last) = fields.iter_mut().last()?;
        last.as_value_mut()?.decor_mut().set_suffix(behind);
    }
    Some(())
}

fn text_of(raw: Option<&RawString>) -> String {
    raw.and_then(RawString::as_str).unwrap_or_default().to_owned()
}
