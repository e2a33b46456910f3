use proptest::prelude::*;

use super::*;

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Value::Uint),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        ".{0,20}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(any::<u64>(), inner, 0..6)
                .prop_map(|all| Value::Map(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn encoded_cbor_value_decodes_to_itself(value in any_value()) {
        prop_assert_eq!(Value::from_canonical(&value.to_canonical()), Ok(value));
    }

    #[test]
    fn random_bytes_decode_only_if_canonical(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(value) = Value::from_canonical(&bytes) {
            prop_assert_eq!(value.to_canonical(), bytes);
        }
    }
}

#[test]
fn non_canonical_cbor_is_refused() {
    let cases: &[(&str, &[u8])] = &[
        ("a number in more bytes than it needs", &[0x18, 0x05]),
        ("a length in more bytes than it needs", &[0x58, 0x01, 0xff]),
        ("keys out of order", &[0xa2, 0x02, 0x00, 0x00, 0x00]),
        ("a key twice", &[0xa2, 0x00, 0x00, 0x00, 0x01]),
        ("an indefinite array", &[0x9f, 0x00, 0xff]),
        ("an indefinite map", &[0xbf, 0x00, 0x00, 0xff]),
        ("an indefinite byte string", &[0x5f, 0x41, 0x00, 0xff]),
        ("bytes left over", &[0x00, 0x00]),
        ("nothing", &[]),
        ("a negative number", &[0x20]),
        ("null", &[0xf6]),
        ("a float", &[0xf9, 0x00, 0x00]),
        ("a tag", &[0xc0, 0x60]),
        ("a text key", &[0xa1, 0x61, 0x61, 0x00]),
        ("a boolean in two bytes", &[0xf8, 0x15]),
        ("text that is not UTF-8", &[0x61, 0xff]),
        ("a length beyond the end", &[0x5a, 0xff, 0xff, 0xff, 0xff]),
        ("an array of four billion", &[0x9a, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (what, bytes) in cases {
        assert!(Value::from_canonical(bytes).is_err(), "{what} was accepted");
    }
}

#[test]
fn cbor_nesting_is_bounded() {
    let mut deep = vec![0x81; 200];
    deep.push(0x00);
    assert_eq!(Value::from_canonical(&deep), Err(CborError::Malformed("nested too deep")));
}

#[test]
fn unknown_odd_key_is_ignored_and_even_refused() {
    let odd = MapWriter::new().uint(0, 1u8).uint(7, 1u8).canonical();
    let mut fields = Fields::from_canonical(&odd).unwrap();
    assert_eq!(fields.uint(0), Ok(1));
    assert_eq!(fields.finish(), Ok(()));

    let even = MapWriter::new().uint(0, 1u8).uint(8, 1u8).canonical();
    let mut fields = Fields::from_canonical(&even).unwrap();
    assert_eq!(fields.uint(0), Ok(1));
    assert_eq!(fields.finish(), Err(CborError::NotUnderstood(8)));
}
