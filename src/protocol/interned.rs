//! Interned strings: a string that many messages of a fleet share is stored only once.

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::cell::RefCell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// Longer strings are not interned, which limits the memory of the cache.
const MAX_INTERNED: usize = 256;
/// The number of slots in the cache.
const SLOTS: usize = 512;

thread_local! {
    static LAST: RefCell<Vec<Option<Arc<str>>>> = RefCell::new(vec![None; SLOTS]);
}

/// A string of a message. Equal strings from several messages usually share their memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InternedStr(Arc<str>);

impl InternedStr {
    /// The string itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Self {
        if text.len() > MAX_INTERNED {
            return text.into();
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or_default();
        LAST.with_borrow_mut(|last| {
            let slot = &mut last[at];
            // The slot's previous string is only removed from the cache; other users keep it alive.
            let known = slot.take().filter(|known| **known == *text);
            Self(slot.insert(known.unwrap_or_else(|| text.into())).clone())
        })
    }
}

impl From<&str> for InternedStr {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for InternedStr {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<InternedStr> for String {
    fn from(text: InternedStr) -> Self {
        text.as_str().to_owned()
    }
}

impl Borrow<str> for InternedStr {
    fn borrow(&self) -> &str {
        self
    }
}

impl Deref for InternedStr {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InternedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for InternedStr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl Serialize for InternedStr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for InternedStr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(InternedStrVisitor)
    }
}

struct InternedStrVisitor;

impl Visitor<'_> for InternedStrVisitor {
    type Value = InternedStr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<InternedStr, E> {
        Ok(InternedStr::read(text))
    }
}
