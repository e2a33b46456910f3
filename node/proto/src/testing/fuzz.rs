//! A mutation fuzzer for every reader of foreign bytes: copies of valid input, each with a few
//! changes.
//!
//! In the suite each target gets a hundred inputs, the same in every run. `FREEHOLD_FUZZ_SECONDS`
//! gives each target so much time instead (`.ci/fuzz` sets it), and `FREEHOLD_FUZZ_SEED` other
//! inputs. An input on which its target panics or is slow is written to the folder
//! `FREEHOLD_FUZZ_FOUND` or the system's temporary one; `FREEHOLD_FUZZ_INPUT` names such a file, to
//! be tried alone. A fault that ends the process, such as a stack overflow, is reproduced by the
//! same seed.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::random::Random;

/// Inputs per target in the suite.
const INPUTS: u64 = 100;
/// The longest time for an input of [`INPUT_LEN_MAX`] bytes, unoptimised and on a busy machine.
const INPUT_TAKES_MAX: Duration = Duration::from_secs(10);
/// The longest input, in bytes.
const INPUT_LEN_MAX: usize = 64 * 1024;
/// Changes to one input, at most.
const CHANGES_MAX: u64 = 6;
/// Bytes with a meaning in many formats.
const SPECIAL: &[u8] = b"\0\x01\x7f\x80\xff\r\n \t\"\\(){}<>[]*:;,.=?@-+0";
/// Lengths and counts at the limits of integer types.
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

/// Runs `target` on changed copies of the inputs in `corpus`. It must neither panic nor be slow.
#[allow(clippy::print_stdout, clippy::panic, reason = "the output and the failure of a test")]
pub fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    let setting = |name: &str| std::env::var(name).ok();
    if let Some(input) = setting("FREEHOLD_FUZZ_INPUT").and_then(|path| std::fs::read(path).ok()) {
        return target(&input);
    }
    let seconds = setting("FREEHOLD_FUZZ_SECONDS")
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs_f64);
    let seed = setting("FREEHOLD_FUZZ_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(1);
    // The valid inputs must not fail either.
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
    let written = std::fs::write(&path, &input);
    println!(
        "fuzz {name}: input {} of seed {seed} is written to {} ({written:?})",
        tried.count,
        path.display()
    );
    match cause {
        Some(cause) => resume_unwind(cause),
        None => panic!("{name}: {:?} for {} bytes", tried.slowest, input.len()),
    }
}

/// The result of fuzzing one target.
struct Tried {
    count: u64,
    slowest: Duration,
    /// The input on which the target failed, and the panic if there was one.
    fault: Option<(Vec<u8>, Option<Panic>)>,
}

type Panic = Box<dyn Any + Send>;

fn tried(
    corpus: &[Vec<u8>],
    random: &Random,
    seconds: Option<Duration>,
    target: impl Fn(&[u8]),
) -> Tried {
    let start_time = Instant::now();
    let mut tried = Tried { count: 0, slowest: Duration::ZERO, fault: None };
    while tried.fault.is_none()
        && seconds.map_or(tried.count < INPUTS, |seconds| start_time.elapsed() < seconds)
    {
        let input = changed(corpus, random);
        let at = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(&input)));
        tried.slowest = tried.slowest.max(at.elapsed());
        tried.count += 1;
        if outcome.is_err() || tried.slowest > INPUT_TAKES_MAX {
            tried.fault = Some((input, outcome.err()));
        }
    }
    tried
}

/// A copy of an input of `corpus` with a few changes.
fn changed(corpus: &[Vec<u8>], random: &Random) -> Vec<u8> {
    let mut input = any(corpus, random).to_vec();
    for _ in 0..=below(random, CHANGES_MAX) {
        change(&mut input, corpus, random);
    }
    input.truncate(INPUT_LEN_MAX);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &Random) {
    let start = index(random, input.len());
    let end = start + index(random, (input.len() - start).min(64));
    match below(random, 8) {
        0 => {
            if let Some(byte) = input.get_mut(start) {
                *byte ^= 1 << below(random, 8);
            }
        }
        1 => {
            if let (Some(byte), Some(special)) =
                (input.get_mut(start), SPECIAL.get(index(random, SPECIAL.len() - 1)))
            {
                *byte = *special;
            }
        }
        2 => input.truncate(start),
        3 => drop(input.drain(start..end)),
        4 => {
            // Repeat a piece, up to 512 times: depth and counts.
            let times = 1 << below(random, 10);
            let again = input.get(start..end).unwrap_or_default().repeat(times);
            input.splice(end..end, again.into_iter().take(INPUT_LEN_MAX));
        }
        5 => {
            // Insert a piece of another valid input.
            let other = any(corpus, random);
            let from = index(random, other.len());
            let to = from + index(random, (other.len() - from).min(256));
            input.splice(start..end, other.get(from..to).unwrap_or_default().iter().copied());
        }
        6 => {
            let number = NUMBERS.get(index(random, NUMBERS.len() - 1)).copied().unwrap_or_default();
            input.splice(start..end, number.bytes());
        }
        _ => {
            let bytes: [u8; 8] = random.array();
            input.splice(start..end, bytes);
        }
    }
}

fn any<'a>(corpus: &'a [Vec<u8>], random: &Random) -> &'a [u8] {
    corpus.get(index(random, corpus.len().saturating_sub(1))).map(Vec::as_slice).unwrap_or_default()
}

/// A number from 0 to `last`.
fn index(random: &Random, last: usize) -> usize {
    usize::try_from(below(random, (last as u64).saturating_add(1))).unwrap_or(last)
}

fn below(random: &Random, bound: u64) -> u64 {
    random.u64().checked_rem(bound).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_panic_of_a_fuzz_target_is_found() {
        let corpus = [b"a1 FETCH 1 (FLAGS)".to_vec()];
        let tried =
            tried(&corpus, &Random::seeded(1), None, |input| assert!(input.len() > 9, "short"));
        assert!(tried.fault.unwrap().0.len() <= 9);
    }

    #[test]
    fn same_fuzz_seed_gives_the_same_inputs() {
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
