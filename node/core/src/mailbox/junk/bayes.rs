//! The combined probability of a message's tokens (Robinson's method with Fisher's combination):
//! each token's share of junk, weighted by how often it was seen, and the strongest of them tested
//! for an even distribution.

use minicbor::{Decode, Encode};

/// The weight of the assumption about an unseen token.
const UNSEEN_WEIGHT: f64 = 0.15;
/// The assumed share of an unseen token.
const UNSEEN: f64 = 0.5;
/// Tokens nearer to the middle say nothing.
const DEVIATION_MIN: f64 = 0.1;
/// How many tokens are combined: the strongest.
const COMBINED_MAX: usize = 150;

/// How many messages of each class there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Counts {
    /// Messages that are junk.
    #[n(0)]
    pub(super) junk: u32,
    /// Wanted messages.
    #[n(1)]
    pub(super) wanted: u32,
}

/// The share of junk of a token between 0 and 1, seen in `counts` of `learnt` messages.
fn share(counts: Counts, learnt: Counts) -> f64 {
    let rate = |count: u32, of: u32| (f64::from(count) / f64::from(of.max(1))).min(1.0);
    let (junk, wanted) = (rate(counts.junk, learnt.junk), rate(counts.wanted, learnt.wanted));
    if junk + wanted == 0.0 {
        return UNSEEN;
    }
    let seen = f64::from(counts.junk) + f64::from(counts.wanted);
    (UNSEEN_WEIGHT * UNSEEN + seen * junk / (junk + wanted)) / (UNSEEN_WEIGHT + seen)
}

/// The probability of junk.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probability {
    /// Between 0 and 1; 0.5 says nothing.
    pub(super) junk: f64,
    /// The indices of the tokens that say junk most, the strongest first.
    pub(super) strongest: Vec<usize>,
}

/// Combines the tokens with these counts.
pub(super) fn combine(tokens: &[Counts], learnt: Counts) -> Probability {
    let mut shares: Vec<(usize, f64)> = tokens
        .iter()
        .enumerate()
        .map(|(at, counts)| (at, share(*counts, learnt)))
        .filter(|(_, share)| (share - 0.5).abs() >= DEVIATION_MIN)
        .collect();
    shares.sort_by(|a, b| (b.1 - 0.5).abs().total_cmp(&(a.1 - 0.5).abs()));
    shares.truncate(COMBINED_MAX);
    let sum =
        |of: fn(f64) -> f64| -2.0 * shares.iter().map(|(_, share)| of(*share).ln()).sum::<f64>();
    let (junk, wanted) = (sum(|share| 1.0 - share), sum(|share| share));
    // The probability that so many tokens of one kind come together by chance.
    let by_chance = |chi| tail_of_chi_square(chi, shares.len());
    let junk = (1.0 + by_chance(wanted) - by_chance(junk)) / 2.0;
    shares.retain(|(_, share)| *share > 0.5);
    Probability { junk, strongest: shares.into_iter().map(|(at, _)| at).collect() }
}

/// The probability that a chi-square variable of `2 * half` degrees of freedom is above `chi`.
fn tail_of_chi_square(chi: f64, half: usize) -> f64 {
    let m = chi / 2.0;
    let mut log_term = -m;
    let mut sum = log_term.exp();
    for i in 1..half {
        log_term += (m / i as f64).ln();
        sum += log_term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEARNT: Counts = Counts { junk: 100, wanted: 200 };

    fn seen(junk: u32, wanted: u32) -> Counts {
        Counts { junk, wanted }
    }

    #[test]
    fn share_follows_rates_and_not_counts() {
        assert!((share(seen(50, 100), LEARNT) - 0.5).abs() < 1e-9);
        assert!(share(seen(50, 0), LEARNT) > 0.99);
        assert!(share(seen(0, 50), LEARNT) < 0.01);
        assert!(share(seen(1, 0), LEARNT) < share(seen(20, 0), LEARNT));
        assert!((share(seen(0, 0), LEARNT) - UNSEEN).abs() < 1e-9);
        // Counts above the number of messages, and no messages at all.
        assert!(share(seen(u32::MAX, u32::MAX), Counts::default()).is_finite());
    }

    #[test]
    fn tokens_are_combined_towards_their_kind() {
        let of = |tokens: &[Counts]| combine(tokens, LEARNT).junk;
        assert!((of(&[]) - 0.5).abs() < 1e-9);
        assert!(of(&[seen(40, 0); 10]) > 0.99);
        assert!(of(&[seen(0, 40); 10]) < 0.01);
        let mixed = [[seen(40, 0); 10], [seen(0, 80); 10]].concat();
        assert!((of(&mixed) - 0.5).abs() < 0.1, "{}", of(&mixed));
        // Many strong tokens don't leave the range of numbers.
        assert!(of(&vec![seen(100, 0); 5000]) > 0.99);
        assert!(of(&vec![seen(0, 200); 5000]) < 0.01);
    }

    #[test]
    fn strongest_tokens_of_junk_are_named() {
        let tokens = [seen(0, 50), seen(3, 1), seen(50, 0)];
        assert_eq!(combine(&tokens, LEARNT).strongest, [2, 1]);
    }
}
