//! Damaged input for whatever takes foreign bytes: what is known to be right, changed a little,
//! over and over.
//!
//! In the suite each target gets a hundred inputs, the same in every run. `FREEHOLD_FUZZ_SECONDS`
//! gives each so much time instead (`.ci/fuzz` does) and `FREEHOLD_FUZZ_SEED` other inputs. An
//! input that makes its target panic or dawdle is written to the folder
//! `FREEHOLD_FUZZ_FOUND` or the system's temporary one; `FREEHOLD_FUZZ_INPUT` names such a file, to be tried alone. What ends the whole
//! process, as a stack that overflows does, is met again by the same seed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::random::Random;

/// How many inputs a target gets in the suite.
const INPUTS: u64 = 100;
/// No input of [`INPUT_LEN_MAX`] bytes takes so long, not even unoptimised on a busy machine.
const INPUT_TAKES_MAX: Duration = Duration::from_secs(10);
/// The longest input, in bytes.
const INPUT_LEN_MAX: usize = 64 * 1024;
/// At most so many changes are made to one input.
const CHANGES_MAX: u64 = 6;
/// Bytes that mean something to many formats.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\r\n \t\"\\(){}<>[]*:;,.=?@-+0";
/// Lengths and counts that were not thought of.
const NUMBERS: [&str; 8] = [
    "0",
    "1",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "99999999999999999999",
];

/// Feeds changed copies of what is in `corpus` to `target`, which must neither panic nor take long.
#[allow(clippy::print_stdout, clippy::panic, reason = "a test's own words; what it finds fails it")]
pub fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    let setting = |name: &str| std::env::var(name).ok();
    if let Some(input) = setting("FREEHOLD_FUZZ_INPUT").and_then(|path| std::fs::read(path).ok()) {
        return target(&input);
    }
    let seconds = setting("FREEHOLD_FUZZ_SECONDS")
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs_f64);
    let seed = setting("FREEHOLD_FUZZ_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    // What is right must be taken, too.
    corpus.iter().for_each(|input| target(input));
    let tried = tried(corpus, &Random::seeded(seed), seconds, target);
    let Some((input, cause)) = tried.fault else {
        return println!(
            "fuzz {name}: {} inputs, the slowest {:.1} ms",
            tried.count,
            tried.slowest.as_secs_f64() * 1e3
        );
    };
    let folder = setting("FREEHOLD_FUZZ_FOUND").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!(
        "{}-{}",
        name.replace(' ', "-"),
        blake3::hash(&input).to_hex().split_at(16).0
    ));
    let kept = std::fs::write(&path, &input);
    println!(
        "fuzz {name}: input {} of seed {seed} is kept in {} ({kept:?})",
        tried.count,
        path.display()
    );
    match cause {
        Some(cause) => resume_unwind(cause),
        None => panic!("{name}: {:?} for {} bytes", tried.slowest, input.len()),
    }
}

/// How a target fared.
struct Tried {
    count: u64,
    slowest: Duration,
    /// What it fell over or was slow at, and the panic if there was one.
    fault: Option<(Vec<u8>, Option<Panic>)>,
}

type Panic = Box<dyn Any + Send>;

fn tried(
    corpus: &[Vec<u8>],
    random: &Random,
    seconds: Option<Duration>,
    target: impl Fn(&[u8]),
) -> Tried {
    let begun = Instant::now();
    let mut tried = Tried { count: 0, slowest: Duration::ZERO, fault: None };
    while tried.fault.is_none()
        && seconds.map_or(tried.count < INPUTS, |seconds| begun.elapsed() < seconds)
    {
        let input = changed(corpus, random);
        let at = Instant::now();
        let done = catch_unwind(AssertUnwindSafe(|| target(&input)));
        tried.slowest = tried.slowest.max(at.elapsed());
        tried.count += 1;
        if done.is_err() || tried.slowest > INPUT_TAKES_MAX {
            tried.fault = Some((input, done.err()));
        }
    }
    tried
}

/// A copy of something in `corpus` with a few changes.
fn changed(corpus: &[Vec<u8>], random: &Random) -> Vec<u8> {
    let mut input = any(corpus, random).to_vec();
    for _ in 0..=below(random, CHANGES_MAX) {
        change(&mut input, corpus, random);
    }
    input.truncate(INPUT_LEN_MAX);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &Random) {
    let start = place(random, input.len());
    let end = start + place(random, (input.len() - start).min(64));
    match below(random, 8) {
        0 => {
            if let Some(byte) = input.get_mut(start) {
                *byte ^= 1 << below(random, 8);
            }
        }
        1 => {
            if let (Some(byte), Some(telling)) =
                (input.get_mut(start), TELLING.get(place(random, TELLING.len() - 1)))
            {
                *byte = *telling;
            }
        }
        2 => input.truncate(start),
        3 => drop(input.drain(start..end)),
        4 => {
            // The same again, perhaps very often: depth and counts.
            let times = 1 << below(random, 10);
            let again = input.get(start..end).unwrap_or_default().repeat(times);
            input.splice(end..end, again.into_iter().take(INPUT_LEN_MAX));
        }
        5 => {
            // A piece of something else that is right.
            let other = any(corpus, random);
            let from = place(random, other.len());
            let to = from + place(random, (other.len() - from).min(256));
            input.splice(start..end, other.get(from..to).unwrap_or_default().iter().copied());
        }
        6 => {
            let number = NUMBERS.get(place(random, NUMBERS.len() - 1)).copied().unwrap_or_default();
            input.splice(start..end, number.bytes());
        }
        _ => {
            let bytes: [u8; 8] = random.array();
            input.splice(start..end, bytes);
        }
    }
}

fn any<'a>(corpus: &'a [Vec<u8>], random: &Random) -> &'a [u8] {
    corpus.get(place(random, corpus.len().saturating_sub(1))).map(Vec::as_slice).unwrap_or_default()
}

/// A number from 0 to `last`.
fn place(random: &Random, last: usize) -> usize {
    usize::try_from(below(random, (last as u64).saturating_add(1))).unwrap_or(last)
}

fn below(random: &Random, bound: u64) -> u64 {
    random.u64().checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_falls_over_rarely_is_found_out() {
        let corpus = [b"a1 FETCH 1 (FLAGS)".to_vec()];
        let tried =
            tried(&corpus, &Random::seeded(1), None, |input| assert!(input.len() > 9, "short"));
        assert!(tried.fault.unwrap().0.len() <= 9);
    }

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let corpus = [vec![7; 100]];
        let inputs = || {
            (0..50)
                .map(|_| 0)
                .scan(Random::seeded(3), |random, _: i32| Some(changed(&corpus, random)))
                .collect::<Vec<_>>()
        };
        assert_eq!(inputs(), inputs());
    }
}
