//! Pieces of a log in any order make the log, each byte once.

use homelab_deploy::deployer::Joiner;
use proptest::prelude::*;
use proptest::sample::Index;

/// The place of a character, or the end.
fn place(text: &str, index: Index) -> usize {
    let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    places[index.index(places.len())]
}

/// What a host tells of the bytes from `from` to `to`: what is no whole character there stands as `?`.
fn told(text: &str, from: usize, to: usize) -> String {
    let mut told = String::new();
    for chunk in text.as_bytes()[from..to].utf8_chunks() {
        told.push_str(chunk.valid());
        told.extend(chunk.invalid().iter().map(|_| '?'));
    }
    told
}

/// All that is ready; it must begin where the text before has ended.
fn take(joiner: &mut Joiner, end: &mut u64) -> String {
    let mut all = String::new();
    while let Some((offset, text)) = joiner.take() {
        assert_eq!(offset, *end);
        *end += text.len() as u64;
        all += &text;
    }
    assert_eq!(*end, joiner.end());
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
        let start = place(&text, start);
        let mut joiner = Joiner::new(start as u64);
        let (mut joined, mut end) = (String::new(), start as u64);
        for (from, to, now) in any {
            let (from, to) = (place(&text, from), place(&text, to));
            joiner.add(from.min(to) as u64, text[from.min(to)..from.max(to)].to_owned());
            if now {
                joined += &take(&mut joiner, &mut end);
            }
        }
        // Then all of it, cut somewhere and shuffled.
        let mut places: Vec<_> = cuts.iter().map(|(at, _)| place(&text, *at)).chain([0, text.len()]).collect();
        places.sort_unstable();
        let mut pieces: Vec<_> = places.windows(2).map(|pair| (pair[0], pair[1])).collect();
        for (_, other) in &cuts {
            let last = pieces.len() - 1;
            pieces.swap(other.index(last + 1), last);
        }
        for (from, to) in pieces {
            joiner.add(from as u64, text[from..to].to_owned());
        }
        joined += &take(&mut joiner, &mut end);
        prop_assert_eq!(joined, &text[start..]);
        prop_assert_eq!(joiner.gap(), None);
    }

    #[test]
    fn what_is_missing_can_be_asked_for(
        text in "[a-cäöü€😀\n]{1,40}",
        some in prop::collection::vec((any::<Index>(), any::<Index>()), 1..10),
    ) {
        let mut joiner = Joiner::new(0);
        let mut furthest = 0;
        for (from, to) in some {
            let (from, to) = (place(&text, from), place(&text, to));
            furthest = furthest.max(from).max(to);
            joiner.add(from.min(to) as u64, text[from.min(to)..from.max(to)].to_owned());
        }
        while let Some(from) = joiner.gap() {
            // An answer of one character.
            let from = usize::try_from(from).unwrap();
            let answer: String = text[from..].chars().take(1).collect();
            joiner.add(from as u64, answer);
        }
        let joined = joiner.take().map(|(_, text)| text).unwrap_or_default();
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
        let mut joiner = Joiner::new(start as u64);
        let mut end = start as u64;
        let mut joined = String::new();
        for (from, to) in cuts {
            let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
            joiner.add(from as u64, told(&text, from, to));
            joined += &take(&mut joiner, &mut end);
        }
        joiner.add(0, text.clone());
        joined += &take(&mut joiner, &mut end);
        prop_assert_eq!(joined.len(), text.len() - start);
        for (byte, meant) in joined.bytes().zip(text.bytes().skip(start)) {
            prop_assert!(byte == meant || byte == b'?');
        }
    }
}

#[test]
fn of_much_that_waits_the_nearest_is_kept_and_the_rest_asked_for_again() {
    let text = "0123456789abcdef".repeat(4096 * 64);
    let piece = |from: usize| text[from..text.len().min(from + 4096)].to_owned();
    let mut joiner = Joiner::new(0);
    for from in (4096..text.len()).step_by(4096).rev() {
        joiner.add(from as u64, piece(from));
    }
    assert_eq!((joiner.gap(), joiner.take()), (Some(0), None));
    joiner.add(0, piece(0));
    let kept = joiner.end();
    assert!((900_000..1_100_000).contains(&kept), "{kept}");
    assert_eq!(joiner.gap(), Some(kept));
    while let Some(from) = joiner.gap() {
        joiner.add(from, piece(usize::try_from(from).unwrap()));
    }
    assert!(joiner.take() == Some((0, text)));
}

#[test]
fn tiny_pieces_count_for_more_than_their_text() {
    let mut joiner = Joiner::new(0);
    for at in 1..200_000 {
        joiner.add(at, "x".to_owned());
    }
    joiner.add(0, "x".to_owned());
    assert!(joiner.end() < 100_000, "{}", joiner.end());
}

#[test]
fn offsets_beyond_all_numbers_do_no_harm() {
    let mut joiner = Joiner::new(u64::MAX - 2);
    joiner.add(u64::MAX, "much".to_owned());
    joiner.add(u64::MAX - 4, "abcd".to_owned());
    assert_eq!(joiner.take(), Some((u64::MAX - 2, "cd".to_owned())));
    assert_eq!((joiner.end(), joiner.gap()), (u64::MAX, None));
}
