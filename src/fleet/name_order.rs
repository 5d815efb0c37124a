//! The natural order of names: `web2` before `web10`.

use crate::protocol::Name;
use std::cmp::Ordering;

/// A name in natural order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalName(pub Name);

impl Ord for NaturalName {
    fn cmp(&self, other: &Self) -> Ordering {
        natural_cmp(&self.0, &other.0)
    }
}

impl PartialOrd for NaturalName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares names with numbers in numeric order: `web2` before `web10`. Not from a crate: it is short, and names that differ only in
/// leading zeros need a fixed order too.
pub fn natural_cmp(a: &Name, b: &Name) -> Ordering {
    let (mut left, mut right) = (a.as_str().as_bytes(), b.as_str().as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (number(&mut left), number(&mut right));
            m.len().cmp(&n.len()).then_with(|| m.cmp(n))
        } else {
            (left, right) = (&left[1..], &right[1..]);
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the start, without leading zeros.
fn number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}
