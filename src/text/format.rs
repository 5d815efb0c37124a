//! Numbers, times, sizes and commits in human-readable form.

use jiff::Timestamp;
use std::time::Duration;

/// A number of things: `1 host`, `3 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {}", plural(number, noun))
}

/// The noun for a number of things: `host`, `hosts`.
pub fn plural(number: usize, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The abbreviated commit: its first 7 characters.
pub fn short_commit(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// The age in its largest unit. A time in the future counts as now.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// A duration in milliseconds: `48.2 s`, `1:07 min`, `27:46 h`.
pub fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    if seconds < 60 {
        return format!("{seconds}.{} s", milliseconds % 1000 / 100);
    }
    if seconds < 3600 {
        return format!("{}:{:02} min", seconds / 60, seconds % 60);
    }
    format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60)
}

/// A duration in its two largest units: `2 h 5 min`.
pub fn long_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// The time since something started, in milliseconds: `0:41`, `1:02:07`.
pub fn elapsed(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// The estimated remaining time, in milliseconds: `about 1:20 left`.
pub fn remaining(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1000);
    // Estimates are not accurate to the second.
    let step = if seconds < 60 { 5 } else { 10 };
    format!("about {} left", elapsed(seconds.div_ceil(step) * step * 1000))
}

/// A difference in bytes: `+412 MiB`.
pub fn signed_size(bytes: i64) -> String {
    format!("{}{}", if bytes < 0 { '-' } else { '+' }, size(bytes.unsigned_abs()))
}

/// A size in bytes: `412 MiB`, `1.1 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10) / 1024, 0);
    while tenths >= 10 * 1024 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    if tenths < 100 && unit > 0 {
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
    }
    format!("{} {}", tenths / 10, UNITS[unit])
}

/// Parses a size such as `500MiB` or `1GiB`. `None` if it is not one. For the crate `bytesize`, `1K` would be 1000 bytes.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match text[digits..].trim() {
        "" | "B" => 0,
        "KiB" | "K" => 10,
        "MiB" | "M" => 20,
        "GiB" | "G" => 30,
        "TiB" | "T" => 40,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(1 << shift)
}
