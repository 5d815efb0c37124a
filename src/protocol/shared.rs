//! Text that a whole fleet says alike: what is read again is kept once.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longer texts are kept each by itself, so that no peer fills the memory of what was read last.
const LONGEST: usize = 256;
/// How many of the texts that were read last are known.
const PLACES: usize = 512;

thread_local! {
    static LAST: RefCell<Vec<Option<Arc<str>>>> = RefCell::new(vec![None; PLACES]);
}

/// A text of a message. Equal ones that were read from many messages mostly share their memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SharedText(Arc<str>);

impl SharedText {
    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Self {
        if text.len() > LONGEST {
            return text.into();
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % PLACES as u64).unwrap_or_default();
        LAST.with_borrow_mut(|last| {
            let place = &mut last[at];
            // What lay in its place is only forgotten here: whoever holds it goes on to.
            let known = place.take().filter(|known| **known == *text);
            Self(place.insert(known.unwrap_or_else(|| text.into())).clone())
        })
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SharedText> for String {
    fn from(text: SharedText) -> Self {
        text.as_str().to_owned()
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Serialize for SharedText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader)
    }
}

struct Reader;

impl Visitor<'_> for Reader {
    type Value = SharedText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<SharedText, E> {
        Ok(SharedText::read(text))
    }
}
