//! Regular expressions that an operator types.

use regex_lite::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::ops::Range;

/// Largest compiled pattern in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// A regular expression; without an upper-case letter, case does not count. Two are equal if they were typed alike.
#[derive(Debug, Clone)]
pub(super) struct TypedPattern {
    regex: Regex,
    ignores_case: bool,
}

impl TypedPattern {
    /// Compiles a pattern, or returns `None` if it is not a regular expression.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let ignores_case = !pattern.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(pattern).case_insensitive(ignores_case).size_limit(MAX_PATTERN).build();
        Some(Self { regex: regex.ok()?, ignores_case })
    }

    /// A pattern that matches this text.
    pub(super) fn literal(text: &str) -> Option<Self> {
        Self::new(&regex_lite::escape(text))
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(&self.folded(text))
    }

    /// The parts of a text that match.
    pub(super) fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        self.regex.find_iter(&self.folded(text)).map(|found| found.range()).collect()
    }

    /// The text in lower case if case does not count. The expression itself ignores the case of ASCII letters only.
    fn folded<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.ignores_case || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let lower = |c: char| {
            // Letters whose lower case is longer or shorter would move the ranges.
            let mut lower = c.to_lowercase();
            lower.next().filter(|lower| lower.len_utf8() == c.len_utf8()).unwrap_or(c)
        };
        Cow::Owned(text.chars().map(lower).collect())
    }
}

impl PartialEq for TypedPattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for TypedPattern {}

#[cfg(test)]
mod tests {
    use super::TypedPattern;

    #[test]
    fn case_does_not_count_without_an_upper_case_letter() {
        let pattern = TypedPattern::new("größe [äö]").unwrap();
        let matched = |pattern: &TypedPattern, text: &str| {
            pattern.ranges(text).into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(matched(&pattern, "die GRÖSSE, die GRÖßE Ö"), ["GRÖßE Ö"]);
        assert!(!TypedPattern::new("Größe").unwrap().is_match("größe"));
        assert!(TypedPattern::new("(").is_none());
        assert_eq!(matched(&TypedPattern::literal("BIND(").unwrap(), "bind( BIND("), ["BIND("]);
    }
}
