//! One entry of the fleet file, read field by field, so that an error names the field and what to write instead.

use super::{FleetFileError, Kind, parse_expiry};
use crate::protocol::{Name, PublicKey, WRITE_KEY};
use jiff::Timestamp;
use toml::{Table, Value};

const WRITE_NEXT: &str = "leave it out, or write the key that replaces public_key";
const WRITE_EXPIRES: &str = "write expires = \"2027-01-01\", or leave it out";

/// A section such as `[hosts.ns1]`, of which each field is taken once.
pub(super) struct Entry {
    /// `hosts.ns1`.
    pub(super) path: String,
    fields: Table,
}

impl Entry {
    /// Wants a section.
    pub(super) fn new(path: String, value: Value) -> Result<Self, FleetFileError> {
        match value {
            Value::Table(fields) => Ok(Self { path, fields }),
            other => Err(FleetFileError::Field {
                why: format!("it is {}, not a section", type_of(&other)),
                instead: format!("write [{path}] and its fields below"),
                path,
            }),
        }
    }

    /// An error about one field.
    pub(super) fn wrong(
        &self,
        field: &str,
        why: impl Into<String>,
        instead: impl Into<String>,
    ) -> FleetFileError {
        let path = format!("{}.{field}", self.path);
        FleetFileError::Field { path, why: why.into(), instead: instead.into() }
    }

    /// Refuses any field that entries of this kind do not have.
    pub(super) fn only_fields_of(&self, kind: Kind) -> Result<(), FleetFileError> {
        let (owner, fields) = fields(kind);
        match self.fields.keys().find(|field| !fields.contains(&field.as_str())) {
            None => Ok(()),
            Some(field) => {
                let known = format!("the fields of {owner} are {}", fields.join(", "));
                Err(self.wrong(field, "there is no such field here", known))
            }
        }
    }

    /// Takes a text, if the field is there.
    fn text(&mut self, field: &str, instead: &str) -> Result<Option<String>, FleetFileError> {
        match self.fields.remove(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(field, format!("it is {}, not a text", type_of(&other)), instead)),
        }
    }

    /// Takes a text that must be there.
    pub(super) fn required(&mut self, field: &str, instead: &str) -> Result<String, FleetFileError> {
        self.text(field, instead)?.ok_or_else(|| self.wrong(field, "it is missing", instead))
    }

    /// Checks a name that stands in a field.
    pub(super) fn name(&self, field: &str, text: String, instead: &str) -> Result<Name, FleetFileError> {
        Name::new(text).map_err(|error| self.wrong(field, error.to_string(), instead))
    }

    /// Takes a name, if the field is there.
    pub(super) fn optional_name(
        &mut self,
        field: &str,
        instead: &str,
    ) -> Result<Option<Name>, FleetFileError> {
        self.text(field, instead)?.map(|text| self.name(field, text, instead)).transpose()
    }

    /// Takes a list of names, if the field is there.
    pub(super) fn names(&mut self, field: &str, instead: &str) -> Result<Option<Vec<Name>>, FleetFileError> {
        let items = match self.fields.remove(field) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(other) => {
                return Err(self.wrong(field, format!("it is {}, not a list", type_of(&other)), instead));
            }
        };
        let name = |item| match item {
            Value::String(text) => self.name(field, text, instead),
            other => Err(self.wrong(field, format!("it holds {}, not a text", type_of(&other)), instead)),
        };
        items.into_iter().map(name).collect::<Result<_, _>>().map(Some)
    }

    /// Takes a yes or no; no, if the field is not there.
    pub(super) fn flag(&mut self, field: &str) -> Result<bool, FleetFileError> {
        match self.fields.remove(field) {
            None => Ok(false),
            Some(Value::Boolean(flag)) => Ok(flag),
            Some(other) => {
                let why = format!("it is {}, not true or false", type_of(&other));
                Err(self.wrong(field, why, format!("write {field} = true, or leave it out")))
            }
        }
    }

    /// Takes the public key, and the one that replaces it, if that is there. No text of a key is ever repeated in an error: it
    /// could be half a seed.
    pub(super) fn public_keys(&mut self) -> Result<(String, Option<String>), FleetFileError> {
        let key = self.required("public_key", WRITE_KEY)?;
        self.check_key("public_key", &key)?;
        let next = self.text("next_public_key", WRITE_KEY)?;
        if let Some(next) = &next {
            self.check_key("next_public_key", next)?;
            if *next == key {
                return Err(self.wrong("next_public_key", "it is the same as public_key", WRITE_NEXT));
            }
        }
        Ok((key, next))
    }

    fn check_key(&self, field: &str, key: &str) -> Result<(), FleetFileError> {
        PublicKey::parse(key).map(|_| ()).map_err(|error| self.wrong(field, error.to_string(), WRITE_KEY))
    }

    /// Takes the moment at which it expires, if the field is there: a text, or a date of TOML.
    pub(super) fn expires(&mut self) -> Result<Option<Timestamp>, FleetFileError> {
        let text = match self.fields.remove("expires") {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            Some(Value::Datetime(date)) => date.to_string(),
            Some(other) => {
                let why = format!("it is {}, not a date", type_of(&other));
                return Err(self.wrong("expires", why, WRITE_EXPIRES));
            }
        };
        let expires_at = parse_expiry(&text);
        expires_at.map(Some).map_err(|error| self.wrong("expires", error.to_string(), WRITE_EXPIRES))
    }
}

/// Who has which fields.
fn fields(kind: Kind) -> (&'static str, &'static [&'static str]) {
    match kind {
        Kind::Listener => ("a host", &["tier", "role", "confirm_peers", "public_key", "next_public_key"]),
        Kind::Deployer => {
            ("a deployer", &["kind", "tiers", "builds", "public_key", "next_public_key", "expires"])
        }
        Kind::Mcp => ("an mcp", &["kind", "tiers", "builds", "public_key", "next_public_key", "expires"]),
        Kind::Admin => ("an admin", &["kind", "public_key", "next_public_key", "expires"]),
        Kind::Viewer => ("a viewer", &["kind", "public_key", "next_public_key", "expires"]),
        Kind::Builder => ("a builder", &["kind", "public_key", "next_public_key", "expires"]),
    }
}

/// A value's type, with its article.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}
