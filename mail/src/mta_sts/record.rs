//! The TXT record that names the id of a policy (RFC 8461 3.1).

/// The longest id.
const ID_LEN_MAX: usize = 32;

/// The id in the records at `_mta-sts`; `None` unless exactly one of them is of this kind and
/// valid.
pub(super) fn id(texts: &[String]) -> Option<&str> {
    let mut records = texts.iter().filter_map(|text| fields(text));
    let (fields, None) = (records.next()?, records.next()) else { return None };
    let mut ids = fields.split(';').filter_map(|field| field.trim_matches(WSP).strip_prefix("id="));
    let (id, None) = (ids.next()?, ids.next()) else { return None };
    let is_id =
        (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then_some(id)
}

const WSP: [char; 2] = [' ', '\t'];

/// The fields behind the version, which stands first.
fn fields(text: &str) -> Option<&str> {
    text.strip_prefix("v=STSv1")?.trim_start_matches(WSP).strip_prefix(';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(texts: &[&str]) -> Option<String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        id(&texts).map(str::to_owned)
    }

    #[test]
    fn id_is_read_from_the_one_record() {
        for texts in [
            &["v=STSv1; id=20160831085700Z;"][..],
            &["v=STSv1;id=20160831085700Z"],
            &["v=STSv1 ; new=1 ;\tid=20160831085700Z ;"],
            &["v=spf1 -all", "v=STSv1; id=20160831085700Z;", "v=STSv10; id=2"],
        ] {
            assert_eq!(found(texts).as_deref(), Some("20160831085700Z"), "{texts:?}");
        }
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for texts in [
            &[][..],
            &["v=STSv1; id=1;", "v=STSv1; id=1;"],
            &["v=STSv1; id=1; id=2;"],
            &["v=STSv1; id=;"],
            &["v=STSv1; id=a-b;"],
            &["v=STSv1; id=\u{e9};"],
            &["v=STSv1 id=1"],
            &["id=1; v=STSv1;"],
            &["v=stsv1; id=1;"],
            &[long.as_str()],
        ] {
            assert_eq!(found(texts), None, "{texts:?}");
        }
    }
}
