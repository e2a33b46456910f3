//! Deterministic CBOR (RFC 8949 section 4.2.1) with integer map keys, the encoding of every signed
//! object.
//!
//! Bytes are decoded into a [`Value`] and encoded again; if the result differs from the input, the
//! input is refused, so each value has exactly one encoding. The profile: unsigned integers, byte
//! and text strings, arrays, maps with unsigned integer keys, booleans. No floats, tags, null,
//! negative numbers or indefinite lengths. In a map an *even* key must be understood and an *odd*
//! one may be ignored.

mod fields;
#[cfg(test)]
mod tests;

pub(crate) use fields::exactly;
pub use fields::{Fields, MapWriter};

/// Nesting depth of arrays and maps, at most.
const DEPTH_MAX: usize = 8;
/// Items in one array or map, at most.
const ITEMS_MAX: u64 = 1024;

/// One CBOR item of the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An unsigned integer.
    Uint(u64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// A map with rising integer keys.
    Map(Vec<(u64, Value)>),
    /// True or false.
    Bool(bool),
}

/// Why bytes were refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CborError {
    /// The bytes are not CBOR of the profile.
    #[error("not well-formed: {0}")]
    Malformed(&'static str),
    /// The bytes are a second encoding of a value.
    #[error("not the one canonical encoding")]
    NotCanonical,
    /// A required key is missing.
    #[error("key {0} is missing")]
    Missing(u64),
    /// A key's value has the wrong type, length or range.
    #[error("the value of key {0} is not allowed")]
    Invalid(u64),
    /// An even key is unknown, or a suite, kind or version is newer than this program.
    #[error("key {0} must be understood and is not")]
    NotUnderstood(u64),
}

impl Value {
    /// Decodes all of `bytes` and refuses any but the one canonical encoding.
    ///
    /// # Errors
    /// When the bytes are malformed, outside the profile or not canonical.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let value = read(&mut decoder, 0)?;
        if decoder.position() != bytes.len() || value.to_canonical() != bytes {
            return Err(CborError::NotCanonical);
        }
        Ok(value)
    }

    /// The one canonical encoding.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut encoder = minicbor::Encoder::new(Vec::new());
        // Writing to a vector cannot fail. If it did, the canonical check would fail.
        let _ = write(&mut encoder, self);
        encoder.into_writer()
    }
}

fn read(decoder: &mut minicbor::Decoder<'_>, depth: usize) -> Result<Value, CborError> {
    use minicbor::data::Type;
    if depth > DEPTH_MAX {
        return Err(CborError::Malformed("nested too deep"));
    }
    let malformed = |_| CborError::Malformed("truncated or invalid item");
    Ok(match decoder.datatype().map_err(malformed)? {
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => {
            Value::Uint(decoder.u64().map_err(malformed)?)
        }
        Type::Bytes => Value::Bytes(decoder.bytes().map_err(malformed)?.to_vec()),
        Type::String => Value::Text(decoder.str().map_err(malformed)?.to_owned()),
        Type::Bool => Value::Bool(decoder.bool().map_err(malformed)?),
        Type::Array => {
            let len = items(decoder.array().map_err(malformed)?)?;
            let mut all = Vec::new();
            for _ in 0..len {
                all.push(read(decoder, depth + 1)?);
            }
            Value::Array(all)
        }
        Type::Map => {
            let len = items(decoder.map().map_err(malformed)?)?;
            let mut all: Vec<(u64, Value)> = Vec::new();
            for _ in 0..len {
                let key = decoder.u64().map_err(malformed)?;
                if all.last().is_some_and(|(last, _)| *last >= key) {
                    return Err(CborError::NotCanonical);
                }
                all.push((key, read(decoder, depth + 1)?));
            }
            Value::Map(all)
        }
        _ => return Err(CborError::Malformed("a type outside the profile")),
    })
}

fn items(len: Option<u64>) -> Result<u64, CborError> {
    match len {
        Some(len) if len <= ITEMS_MAX => Ok(len),
        Some(_) => Err(CborError::Malformed("too many items")),
        None => Err(CborError::NotCanonical),
    }
}

type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

fn write(encoder: &mut minicbor::Encoder<Vec<u8>>, value: &Value) -> Written {
    match value {
        Value::Uint(number) => encoder.u64(*number)?,
        Value::Bytes(bytes) => encoder.bytes(bytes)?,
        Value::Text(text) => encoder.str(text)?,
        Value::Bool(flag) => encoder.bool(*flag)?,
        Value::Array(all) => {
            encoder.array(all.len() as u64)?;
            for item in all {
                write(encoder, item)?;
            }
            return Ok(());
        }
        Value::Map(all) => {
            encoder.map(all.len() as u64)?;
            for (key, item) in all {
                encoder.u64(*key)?;
                write(encoder, item)?;
            }
            return Ok(());
        }
    };
    Ok(())
}
