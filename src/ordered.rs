//! Collects into ordered maps and sets with little code.
//!
//! `collect` would instantiate a stable sort for each type of entry, which increases the binary and the memory of an
//! idle listener; these methods insert one entry after the other.

use std::collections::{BTreeMap, BTreeSet};

/// `collect` for ordered maps and sets.
pub trait CollectOrdered: Iterator + Sized {
    /// Collects pairs into a map. The last of several values with the same key remains.
    fn collect_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        self.for_each(|(key, value)| _ = map.insert(key, value));
        map
    }

    /// Collects values into a set.
    fn collect_set(self) -> BTreeSet<Self::Item>
    where
        Self::Item: Ord,
    {
        let mut set = BTreeSet::new();
        self.for_each(|value| _ = set.insert(value));
        set
    }
}

impl<I: Iterator> CollectOrdered for I {}
