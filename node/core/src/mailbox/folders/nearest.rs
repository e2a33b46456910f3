//! Names of folders that other programs allow and this node does not.

use super::{LEVELS_MAX, NAME_LEN_MAX, canonical, is_unseen, valid_name};
use crate::mailbox::IdempotencyKey;

/// The hexadecimal digits of the hash at the end of a name that was cut.
const HASH_LEN: usize = 16;

/// The name itself if a folder can have it, else one that is like it: with `_` for characters that
/// are not allowed, without empty levels, deep levels joined, and cut with a hash at its end if it
/// is too long. Equal names give equal names.
pub fn nearest_name(name: &str) -> String {
    if let Ok(name) = valid_name(name) {
        return name;
    }
    // First, because a name in normalisation form C can be longer.
    let normal = canonical(name);
    let is_refused = |c: char| c.is_control() || is_unseen(c) || matches!(c, '*' | '%');
    let allowed = |level: &str| match level.replace(is_refused, "_").trim() {
        level @ ("." | "..") => level.replace('.', "_"),
        level => level.to_owned(),
    };
    let levels: Vec<String> =
        normal.split('/').map(allowed).filter(|level| !level.is_empty()).collect();
    let (upper, deep) = levels.split_at_checked(LEVELS_MAX - 1).unwrap_or((&levels, &[]));
    let deep = (!deep.is_empty()).then(|| deep.join("_"));
    let mut nearest = upper.iter().cloned().chain(deep).collect::<Vec<_>>().join("/");
    if nearest.len() > NAME_LEN_MAX {
        let hash = IdempotencyKey::of(&[name.as_bytes()]).to_string();
        let mut end = NAME_LEN_MAX - HASH_LEN - 1;
        while !nearest.is_char_boundary(end) {
            end -= 1;
        }
        nearest.truncate(end);
        nearest.push('-');
        nearest.push_str(hash.get(..HASH_LEN).unwrap_or_default());
    }
    if nearest.is_empty() { "_".to_owned() } else { canonical(&nearest) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refused_names_get_a_near_one() {
        for (name, nearest) in [
            ("inbox/a", "INBOX/a"),
            ("a//b/", "a/b"),
            ("../a/.", "__/a/_"),
            ("50% *\u{7}", "50_ __"),
            ("\u{feff}INBOX", "_INBOX"),
            (" a / b ", "a/b"),
            ("", "_"),
            ("1/2/3/4/5/6/7/8/9/10/11", "1/2/3/4/5/6/7/8/9/10_11"),
        ] {
            assert_eq!(nearest_name(name), nearest, "{name}");
        }
        let long = "ä".repeat(200);
        assert_ne!(nearest_name(&long), nearest_name(&format!("{long}a")));
    }

    proptest! {
        #[test]
        fn nearest_names_are_always_allowed(name in "[a%./ \u{e4}\\PC]{0,300}") {
            let nearest = nearest_name(&name);
            prop_assert_eq!(valid_name(&nearest), Ok(nearest));
        }
    }
}
