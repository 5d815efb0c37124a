//! The order of versions, as `builtins.compareVersions` of nix defines it.

use std::cmp::Ordering;

/// Whether `to` is an older version than `from`. Lists of several versions are not compared.
pub(super) fn is_downgrade(from: &str, to: &str) -> bool {
    !from.contains(',') && !to.contains(',') && compare_versions(to, from) == Ordering::Less
}

/// Compares component by component: numbers as numbers, `pre` before everything else, words before numbers.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() || !b.is_empty() {
        let order = compare_components(next_component(&mut a), next_component(&mut b));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the next run of digits or of other characters. Dots and dashes only separate.
fn next_component<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start_matches(['.', '-']);
    let is_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end =
        text.find(|c: char| c == '.' || c == '-' || c.is_ascii_digit() != is_digit).unwrap_or(text.len());
    let (component, after) = text.split_at(end);
    *rest = after;
    component
}

fn compare_components(a: &str, b: &str) -> Ordering {
    let number = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.trim_start_matches('0').to_owned())
    };
    let numbers = (number(a).filter(|_| !a.is_empty()), number(b).filter(|_| !b.is_empty()));
    match (a, b) {
        _ if a == b => Ordering::Equal,
        _ if let (Some(x), Some(y)) = &numbers => x.len().cmp(&y.len()).then_with(|| x.cmp(y)),
        ("pre", _) => Ordering::Less,
        (_, "pre") => Ordering::Greater,
        ("", _) if numbers.1.is_some() => Ordering::Less,
        (_, "") if numbers.0.is_some() => Ordering::Greater,
        _ if numbers.1.is_some() => Ordering::Less,
        _ if numbers.0.is_some() => Ordering::Greater,
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_nix_orders_them() {
        // The examples of the manual of nix, and some more.
        for (older, newer) in [
            ("1.0", "2.3"),
            ("2.1", "2.3"),
            ("2.3", "2.5"),
            ("2.3pre1", "2.3"),
            ("2.3pre3", "2.3pre12"),
            ("2.3a", "2.3c"),
            ("2.3pre1", "2.3c"),
            ("2.3pre1", "2.3q"),
            ("6.12.9", "6.12.10"),
            ("3.3", "3.3.1"),
        ] {
            assert_eq!(compare_versions(older, newer), Ordering::Less, "{older} {newer}");
            assert_eq!(compare_versions(newer, older), Ordering::Greater, "{newer} {older}");
            assert!(is_downgrade(newer, older) && !is_downgrade(older, newer));
        }
        assert_eq!(compare_versions("2.3", "2.3"), Ordering::Equal);
        assert_eq!(compare_versions("2.03", "2.3"), Ordering::Equal);
        assert!(!is_downgrade("3.0, 3.4", "3.0"));
    }
}
