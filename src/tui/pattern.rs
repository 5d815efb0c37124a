//! Regular expressions that an operator types.

use memchr::memchr2_iter;
use regex_lite::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::ops::Range;

/// Largest compiled pattern in bytes.
const MAX_PATTERN: usize = 1 << 20;

/// A regular expression; without an upper-case letter, case does not count. Two are equal if they were typed alike.
#[derive(Debug, Clone)]
pub(super) struct TypedPattern {
    regex: Regex,
    /// The text that the expression matches if it has no special characters, which is found much faster.
    literal: Option<String>,
    ignores_case: bool,
}

impl TypedPattern {
    /// Compiles a pattern, or returns `None` if it is not a regular expression.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let ignores_case = !pattern.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(pattern).case_insensitive(ignores_case).size_limit(MAX_PATTERN).build();
        let is_literal = !pattern.is_empty() && regex_lite::escape(pattern) == pattern;
        let literal = is_literal.then(|| pattern.to_owned());
        Some(Self { regex: regex.ok()?, literal, ignores_case })
    }

    /// A pattern that matches this text.
    pub(super) fn literal(text: &str) -> Option<Self> {
        let pattern = Self::new(&regex_lite::escape(text))?;
        Some(Self { literal: Some(text.to_owned()).filter(|text| !text.is_empty()), ..pattern })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let text = self.folded(text);
        match &self.literal {
            Some(literal) => self.find(literal, &text, 0).is_some(),
            None => self.regex.is_match(&text),
        }
    }

    /// The parts of a text that match.
    pub(super) fn ranges(&self, text: &str) -> Vec<Range<usize>> {
        let text = self.folded(text);
        match &self.literal {
            Some(literal) => {
                let next = |found: &Range<usize>| self.find(literal, &text, found.end);
                std::iter::successors(self.find(literal, &text, 0), next).collect()
            }
            None => self.regex.find_iter(&text).map(|found| found.range()).collect(),
        }
    }

    /// Finds a literal in a text, from a position on.
    fn find(&self, literal: &str, text: &str, from: usize) -> Option<Range<usize>> {
        let (literal, text) = (literal.as_bytes(), text.as_bytes());
        let is_found = |found: &[u8]| {
            if self.ignores_case { found.eq_ignore_ascii_case(literal) } else { found == literal }
        };
        let (lower, upper) = if self.ignores_case {
            (literal[0].to_ascii_lowercase(), literal[0].to_ascii_uppercase())
        } else {
            (literal[0], literal[0])
        };
        let starts = memchr2_iter(lower, upper, &text[from..]).map(|start| from + start);
        let ends = starts.map(|start| start..start + literal.len());
        ends.into_iter().find(|range| text.get(range.clone()).is_some_and(is_found))
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
        assert_eq!(matched(&TypedPattern::literal("").unwrap(), "a"), ["", ""]);
    }

    #[test]
    fn a_literal_matches_as_its_regular_expression_does() {
        let texts = [
            "",
            "error",
            "An ERROR: error\u{301}",
            "eerrorerror",
            "größe GRÖßE",
            "fehler ÄÄä",
            "ſs K \u{212a}",
            "x",
        ];
        for literal in ["error", "Error", "e", "ö", "Ä", "ä", "ää", "s", "k", "rr", "größe"] {
            let fast = TypedPattern::new(literal).unwrap();
            assert!(fast.literal.is_some());
            let slow = TypedPattern { literal: None, ..fast.clone() };
            for text in texts {
                assert_eq!(fast.ranges(text), slow.ranges(text), "{literal:?} in {text:?}");
                assert_eq!(fast.is_match(text), slow.is_match(text), "{literal:?} in {text:?}");
            }
        }
    }
}
