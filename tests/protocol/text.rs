//! Text from the wire: truncation by encoded size, and safe printing.

use crate::strategies::{cases, text};
use homelab_deploy::text::{fitting_prefix, fitting_suffix, is_invisible, printable};
use proptest::prelude::*;

/// The size of a string in JSON, without its quotes.
fn encoded(text: &str) -> usize {
    serde_json::to_string(text).unwrap().len() - 2
}

#[test]
fn terminal_control_sequences_are_removed() {
    for (raw, shown) in [
        ("plain, with ünïcödé and 🚀", "plain, with ünïcödé and 🚀"),
        ("two\nlines\tand\r\nmore", "two lines and  more"),
        ("\u{1b}[1;31mred\u{1b}[0m", "red"),
        ("\u{1b}[2J\u{1b}[Hgone", "gone"),
        ("\u{9b}31mred", "red"),
        ("\u{1b}]0;title\u{7}text", "text"),
        ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
        ("\u{1b}P1$r\u{9c}text", "text"),
        ("\u{1b}ctext", "text"),
        ("\u{1b}(Btext\u{1b}(0", "text"),
        ("\u{1b}#8text", "text"),
        ("bell\u{7}back\u{8}null\0del\u{7f}", "bellbacknulldel"),
        ("\u{202e}desrever\u{202c}", "desrever"),
        ("\u{61c}mark\u{2066}isolate\u{2069}", "markisolate"),
        ("zero\u{200b}width\u{feff}", "zerowidth"),
        ("soft\u{ad}hyphen tags\u{e0041}\u{e007f} fill\u{3164}\u{ffa0}er", "softhyphen tags filler"),
        ("select\u{fe0f}or\u{e0100} \u{1d173}note \u{600}num\u{fff9}ber", "selector note number"),
        // Joined emoji are separated, and flags of tag characters lose their country.
        ("\u{1f468}\u{200d}\u{1f680}\u{2764}\u{fe0f}", "\u{1f468}\u{1f680}\u{2764}"),
        ("cut \u{1b}", "cut "),
        ("cut \u{1b}[", "cut "),
        ("cut \u{1b}[1;3", "cut "),
        ("broken \u{1b}[31日本", "broken 日本"),
    ] {
        assert_eq!(printable(raw), shown, "{raw:?}");
    }
}

/// Line and paragraph separators, `Default_Ignorable_Code_Point` of `DerivedCoreProperties`, and the other characters
/// of category Cf in `UnicodeData`, all of Unicode 17.
const INVISIBLE: [std::ops::RangeInclusive<u32>; 28] = [
    0x2028..=0x2029,
    0xad..=0xad,
    0x34f..=0x34f,
    0x61c..=0x61c,
    0x115f..=0x1160,
    0x17b4..=0x17b5,
    0x180b..=0x180f,
    0x200b..=0x200f,
    0x202a..=0x202e,
    0x2060..=0x206f,
    0x3164..=0x3164,
    0xfe00..=0xfe0f,
    0xfeff..=0xfeff,
    0xffa0..=0xffa0,
    0xfff0..=0xfff8,
    0x1bca0..=0x1bca3,
    0x1d173..=0x1d17a,
    0xe0000..=0xe0fff,
    0x600..=0x605,
    0x6dd..=0x6dd,
    0x70f..=0x70f,
    0x890..=0x891,
    0x8e2..=0x8e2,
    0xfff9..=0xfffb,
    0x110bd..=0x110bd,
    0x110cd..=0x110cd,
    0x13430..=0x1343f,
    0xe0001..=0xe007f,
];

#[test]
fn of_all_characters_exactly_the_invisible_ones_are_removed() {
    for c in '\0'..=char::MAX {
        let listed = INVISIBLE.iter().any(|range| range.contains(&u32::from(c)));
        assert_eq!(is_invisible(c), listed, "U+{:04X}", u32::from(c));
        let shown = printable(&format!("a{c}b"));
        assert_eq!(listed || c.is_control(), !shown.contains(c), "U+{:04X}: {shown:?}", u32::from(c));
    }
}

#[test]
fn an_unfinished_string_sequence_does_not_swallow_the_log() {
    let log = format!("\u{1b}]{}", "x".repeat(10_000));
    assert!(printable(&log).len() > 5000);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_start_that_fits_is_the_longest_that_does(text in text(), max in 0..2000_usize) {
        let start = fitting_prefix(&text, max);
        prop_assert!(text.starts_with(start) && encoded(start) <= max);
        if let Some(next) = text[start.len()..].chars().next() {
            prop_assert!(encoded(start) + encoded(&next.to_string()) > max);
        }
    }

    #[test]
    fn an_end_that_fits_is_the_longest_that_does(text in text(), max in 0..2000_usize) {
        let end = fitting_suffix(&text, max);
        prop_assert!(text.ends_with(end) && encoded(end) <= max);
        if let Some(next) = text[..text.len() - end.len()].chars().next_back() {
            prop_assert!(encoded(end) + encoded(&next.to_string()) > max);
        }
    }

    #[test]
    fn printable_text_holds_no_control_character_and_stays_as_it_is(raw in text()) {
        let shown = printable(&raw);
        prop_assert!(!shown.contains(|c: char| c.is_control()), "{:?}", shown);
        prop_assert_eq!(printable(&shown), shown);
    }

    #[test]
    fn printable_survives_any_sequence(
        raw in "[\u{1b}\u{9b}\u{7}\u{9c}\\[\\]P\\\\0-9;mB( \n\u{e9}\u{1f680}]{0,40}",
    ) {
        let shown = printable(&raw);
        prop_assert!(!shown.contains(|c: char| c.is_control()), "{:?}", shown);
        prop_assert_eq!(printable(&shown), shown);
    }
}
