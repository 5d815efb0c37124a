//! What was really written to the terminal: its escape sequences, and whatever else it would act on.

/// Every control sequence, without its introducer: `1;1H`, `?25l`, `38;5;2m`.
pub(crate) fn sequences(raw: &str) -> Vec<&str> {
    let pieces = raw.split("\u{1b}[").skip(1);
    let end = |piece: &str| piece.find(|c: char| ('@'..='~').contains(&c)).expect("a whole sequence");
    pieces.map(|piece| &piece[..=end(piece)]).collect()
}

/// The numbers of each sequence about looks.
pub(crate) fn looks(raw: &str) -> Vec<Vec<u16>> {
    let looks = sequences(raw).into_iter().filter_map(|sequence| sequence.strip_suffix('m'));
    looks.map(|numbers| numbers.split(';').filter_map(|number| number.parse().ok()).collect()).collect()
}

/// Whether a look sets a colour; 39 and 49 only take one away.
pub(crate) fn is_colour(look: &[u16]) -> bool {
    look.iter().any(|code| matches!(code, 30..=38 | 40..=48 | 90..=97 | 100..=107))
}

/// Fails where anything was written that only others can have meant: sequences that the console has no use for, control
/// characters, and invisible ones that turn text around.
pub(crate) fn only_ours(raw: &str) {
    let modes = [1049, 2004, 25, 1000, 1002, 1003, 1015, 1006];
    for sequence in sequences(raw) {
        let (inside, end) = sequence.split_at(sequence.len() - 1);
        let ours = match end {
            "H" | "m" => inside.chars().all(|c| c.is_ascii_digit() || c == ';'),
            "J" => inside == "2",
            "h" | "l" => modes.iter().any(|mode| inside == format!("?{mode}")),
            _ => false,
        };
        assert!(ours, "{sequence:?} in {raw:?}");
        // Colours are named by their number among the 16, as others hardly would.
        let numbers: Vec<u16> = inside.split(';').filter_map(|number| number.parse().ok()).collect();
        let plain = |n: &u16| matches!(n, 30..=37 | 40..=47 | 90..=107);
        let looks = end == "m" && numbers.first() != Some(&38) && numbers.iter().any(plain);
        assert!(!looks, "{sequence:?} in {raw:?}");
    }
    let rest = raw.replace("\u{1b}[", "");
    let bad = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    assert!(!rest.contains(bad), "{:?} in {raw:?}", rest.chars().find(|c| bad(*c)));
}
