//! No input makes a parser panic: seeded mutations of valid messages, subjects, names, addresses, logs and files.
//!
//! `INPUTS` is the number of inputs, and `INPUTS_SEED` their seed. Each input depends only on the seed and on its own
//! number.

use crate::{corpus, feed};
use fastrand::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{available_parallelism, scope};

/// The default number of inputs, which takes a few seconds.
const INPUTS: u64 = 60_000;
const SEED: u64 = 20_261_129;
/// The number of inputs in a batch of a thread.
const CHUNK: u64 = 1000;
/// The maximum length of an input that a mutation may repeat.
const LONGEST: usize = 64 * 1024;

/// Strings that are difficult for parsers.
const TOKENS: [&str; 34] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\t",
    " ",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    ".",
    "*",
    ">",
    "/",
    "@",
    "%",
    "=",
    "#",
    "\u{1b}[31m",
    "\u{202e}",
    "🚀",
    "é",
    "null",
    "-1",
    "18446744073709551616",
    "1e999",
    "9999-12-31T23:59:60Z",
    "-9223372036854775808",
];

fn from_environment<T: FromStr>(name: &str, otherwise: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
        Err(_) => otherwise,
    }
}

/// Changes an input at one position.
fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=input.len());
    let end = at + rng.usize(..=(input.len() - at).min(32));
    match rng.u8(..9) {
        0 => {
            input.drain(at..end);
        }
        1 => input.truncate(at),
        2 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        3 if at < input.len() => input[at] = rng.u8(..),
        4 => {
            let piece = input[at..end].repeat(rng.usize(..8));
            input.splice(at..at, piece);
        }
        5 if input.len() < LONGEST / 64 => {
            let most = if rng.u8(..64) == 0 { 64 } else { 2 };
            *input = input.repeat(1 + rng.usize(..most));
        }
        6 => {
            let from = rng.usize(..=other.len());
            let piece = &other[from..from + rng.usize(..=(other.len() - from).min(64))];
            input.splice(at..end, piece.iter().copied());
        }
        7 => {
            input.splice(at..end, TOKENS[rng.usize(..TOKENS.len())].bytes());
        }
        _ => {
            input.splice(at..at, TOKENS[rng.usize(..TOKENS.len())].bytes());
        }
    }
}

/// The input with this number: its parser and its bytes.
fn input(corpus: &[corpus::Sample], seed: u64, number: u64) -> (corpus::Kind, Vec<u8>) {
    let mut rng = Rng::with_seed(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let sample = &corpus[rng.usize(..corpus.len())];
    let mut bytes = sample.bytes.clone();
    for _ in 0..=rng.u8(..6) {
        let other = &corpus[rng.usize(..corpus.len())].bytes;
        mutate(&mut bytes, other, &mut rng);
    }
    (sample.kind, bytes)
}

#[test]
fn no_input_makes_a_parser_panic() {
    let inputs = from_environment("INPUTS", INPUTS);
    let seed = from_environment("INPUTS_SEED", SEED);
    let corpus = corpus::samples();
    let next = AtomicU64::new(0);
    scope(|threads| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            threads.spawn(|| {
                loop {
                    let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                    if first >= inputs {
                        return;
                    }
                    for number in first..inputs.min(first + CHUNK) {
                        let (kind, bytes) = input(&corpus, seed, number);
                        let fed = catch_unwind(AssertUnwindSafe(|| feed::feed(kind, &bytes)));
                        let shown = || String::from_utf8_lossy(&bytes).into_owned();
                        assert!(fed.is_ok(), "input {number} of seed {seed}, {kind:?}: {:?}", shown());
                    }
                }
            });
        }
    });
}

#[test]
fn every_sample_is_accepted() {
    let samples = corpus::samples();
    let refused: Vec<_> = samples.iter().filter(|sample| !feed::feed(sample.kind, &sample.bytes)).collect();
    let shown = refused.iter().map(|sample| (sample.kind, String::from_utf8_lossy(&sample.bytes)));
    assert!(refused.is_empty(), "{:#?}", shown.collect::<Vec<_>>());
}
