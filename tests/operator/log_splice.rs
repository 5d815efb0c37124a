//! Log pieces in any order are spliced into the log, with each byte once.

use homelab_deploy::client::LogSplicer;
use proptest::prelude::*;
use proptest::sample::Index;

/// Offset of a character, or of the end.
fn offset(text: &str, index: Index) -> usize {
    let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    places[index.index(places.len())]
}

/// The bytes from `from` to `to` as a host sends them: incomplete characters are replaced with `?`.
fn shown(text: &str, from: usize, to: usize) -> String {
    let mut lossy = String::new();
    for chunk in text.as_bytes()[from..to].utf8_chunks() {
        lossy.push_str(chunk.valid());
        lossy.extend(chunk.invalid().iter().map(|_| '?'));
    }
    lossy
}

/// Takes all available text. It must start where the previous text ended.
fn take(splicer: &mut LogSplicer, end: &mut u64) -> String {
    let mut all = String::new();
    while let Some((offset, text)) = splicer.take() {
        assert_eq!(offset, *end);
        *end += text.len() as u64;
        all += &text;
    }
    assert_eq!(*end, splicer.end());
    all
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn pieces_in_any_order_repeated_and_overlapping_make_the_text(
        text in "[a-cäöü€😀\n]{0,40}",
        start in any::<Index>(),
        any in prop::collection::vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..30),
        cuts in prop::collection::vec((any::<Index>(), any::<Index>()), 0..8),
    ) {
        let start = offset(&text, start);
        let mut splicer = LogSplicer::new(start as u64);
        let (mut joined, mut end) = (String::new(), start as u64);
        for (from, to, now) in any {
            let (from, to) = (offset(&text, from), offset(&text, to));
            splicer.add(from.min(to) as u64, text[from.min(to)..from.max(to)].to_owned());
            if now {
                joined += &take(&mut splicer, &mut end);
            }
        }
        // Then the complete log, cut into pieces and shuffled.
        let mut places: Vec<_> = cuts.iter().map(|(at, _)| offset(&text, *at)).chain([0, text.len()]).collect();
        places.sort_unstable();
        let mut pieces: Vec<_> = places.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for (_, other) in &cuts {
            let last = pieces.len() - 1;
            pieces.swap(other.index(last + 1), last);
        }
        for (from, to) in pieces {
            splicer.add(from as u64, text[from..to].to_owned());
        }
        joined += &take(&mut splicer, &mut end);
        prop_assert_eq!(joined, &text[start..]);
        prop_assert_eq!(splicer.gap(), None);
    }

    #[test]
    fn missing_ranges_can_be_requested(
        text in "[a-cäöü€😀\n]{1,40}",
        some in prop::collection::vec((any::<Index>(), any::<Index>()), 1..10),
    ) {
        let mut splicer = LogSplicer::new(0);
        let mut furthest = 0;
        for (from, to) in some {
            let (from, to) = (offset(&text, from), offset(&text, to));
            furthest = furthest.max(from).max(to);
            splicer.add(from.min(to) as u64, text[from.min(to)..from.max(to)].to_owned());
        }
        while let Some(from) = splicer.gap() {
            // A reply with one character.
            let from = usize::try_from(from).unwrap();
            let answer: String = text[from..].chars().take(1).collect();
            splicer.add(from as u64, answer);
        }
        let joined = splicer.take().map(|(_, text)| text).unwrap_or_default();
        prop_assert!(text.starts_with(&joined) && joined.len() >= furthest);
    }

    #[test]
    fn pieces_that_cut_characters_keep_every_place(
        text in "[a€😀]{0,20}",
        start in any::<Index>(),
        cuts in prop::collection::vec((any::<Index>(), any::<Index>()), 0..30),
    ) {
        let at = |index: Index| index.index(text.len() + 1);
        let start = at(start);
        let mut splicer = LogSplicer::new(start as u64);
        let mut end = start as u64;
        let mut joined = String::new();
        for (from, to) in cuts {
            let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
            splicer.add(from as u64, shown(&text, from, to));
            joined += &take(&mut splicer, &mut end);
        }
        splicer.add(0, text.clone());
        joined += &take(&mut splicer, &mut end);
        prop_assert_eq!(joined.len(), text.len() - start);
        for (byte, meant) in joined.bytes().zip(text.bytes().skip(start)) {
            prop_assert!(byte == meant || byte == b'?');
        }
    }
}

#[test]
fn of_many_pending_chunks_the_nearest_are_kept_and_others_requested_again() {
    let text = "0123456789abcdef".repeat(4096 * 64);
    let piece = |from: usize| text[from..text.len().min(from + 4096)].to_owned();
    let mut splicer = LogSplicer::new(0);
    for from in (4096..text.len()).step_by(4096).rev() {
        splicer.add(from as u64, piece(from));
    }
    assert_eq!((splicer.gap(), splicer.take()), (Some(0), None));
    splicer.add(0, piece(0));
    let stored = splicer.end();
    assert!((900_000..1_100_000).contains(&stored), "{stored}");
    assert_eq!(splicer.gap(), Some(stored));
    while let Some(from) = splicer.gap() {
        splicer.add(from, piece(usize::try_from(from).unwrap()));
    }
    assert!(splicer.take() == Some((0, text)));
}

#[test]
fn tiny_pieces_count_for_more_than_their_text() {
    let mut splicer = LogSplicer::new(0);
    for at in 1..200_000 {
        splicer.add(at, "x".to_owned());
    }
    splicer.add(0, "x".to_owned());
    assert!(splicer.end() < 100_000, "{}", splicer.end());
}

#[test]
fn huge_offsets_are_harmless() {
    let mut splicer = LogSplicer::new(u64::MAX - 2);
    splicer.add(u64::MAX, "much".to_owned());
    splicer.add(u64::MAX - 4, "abcd".to_owned());
    assert_eq!(splicer.take(), Some((u64::MAX - 2, "cd".to_owned())));
    assert_eq!((splicer.end(), splicer.gap()), (u64::MAX, None));
}
