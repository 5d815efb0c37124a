//! The bytes that were written to the terminal: escape sequences and other control characters.

/// All control sequences without their introducer: `1;1H`, `?25l`, `38;5;2m`.
pub(crate) fn sequences(raw: &str) -> Vec<&str> {
    let pieces = raw.split("\u{1b}[").skip(1);
    let end = |piece: &str| piece.find(|c: char| ('@'..='~').contains(&c)).expect("a whole sequence");
    pieces.map(|piece| &piece[..=end(piece)]).collect()
}

/// The numbers of each sequence that sets a style.
pub(crate) fn styles(raw: &str) -> Vec<Vec<u16>> {
    let styles = sequences(raw).into_iter().filter_map(|sequence| sequence.strip_suffix('m'));
    styles.map(|numbers| numbers.split(';').filter_map(|number| number.parse().ok()).collect()).collect()
}

/// Whether a style sets a colour; 39 and 49 only reset it.
pub(crate) fn is_colour(style: &[u16]) -> bool {
    style.iter().any(|code| matches!(code, 30..=38 | 40..=48 | 90..=97 | 100..=107))
}

/// Fails on bytes that the console itself never writes: other sequences, control characters, and invisible
/// characters that change the direction of text.
pub(crate) fn only_ours(raw: &str) {
    let raw = &without_osc(raw);
    let modes = [1049, 2004, 25, 1000, 1002, 1003, 1015, 1006];
    for sequence in sequences(raw) {
        let (inside, end) = sequence.split_at(sequence.len() - 1);
        let ours = match end {
            "H" | "m" => inside.chars().all(|c| c.is_ascii_digit() || c == ';'),
            "J" => inside == "2",
            // Saves and restores the title.
            "t" => ["22;2", "23;2"].contains(&inside),
            "h" | "l" => modes.iter().any(|mode| inside == format!("?{mode}")),
            _ => false,
        };
        assert!(ours, "{sequence:?} in {raw:?}");
        // The console sets colours with `38;5;N`; the short codes must come from someone else.
        let numbers: Vec<u16> = inside.split(';').filter_map(|number| number.parse().ok()).collect();
        let plain = |n: &u16| matches!(n, 30..=37 | 40..=47 | 90..=107);
        let is_short_colour = end == "m" && numbers.first() != Some(&38) && numbers.iter().any(plain);
        assert!(!is_short_colour, "{sequence:?} in {raw:?}");
    }
    let rest = raw.replace("\u{1b}[", "");
    let bad = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    assert!(!rest.contains(bad), "{:?} in {raw:?}", rest.chars().find(|c| bad(*c)));
}

/// Removes the title, the progress and the notifications, which contain only plain text.
pub(crate) fn without_osc(raw: &str) -> String {
    let mut pieces = raw.split("\u{1b}]");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (osc, after) = piece.split_once('\u{7}').unwrap_or_else(|| panic!("an unfinished {piece:?}"));
        let is_ours = ["2;", "9;", "777;notify;homelab-deploy;"].iter().any(|start| osc.starts_with(start));
        assert!(is_ours && !osc.contains(|c: char| c.is_control()), "{osc:?}");
        rest.push_str(after);
    }
    // The bell.
    rest.replace('\u{7}', "")
}
