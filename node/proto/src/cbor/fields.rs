//! Reading a map key by key, so that the keys left at the end are known: an even one was not
//! understood.

use super::{CborError, Value};

/// The keys of one map, taken one after another; [`Fields::finish`] refuses an even key that is
/// left.
#[derive(Debug)]
pub struct Fields(Vec<(u64, Value)>);

impl Fields {
    /// The fields of canonical `bytes` that hold one map.
    ///
    /// # Errors
    /// When the bytes are not the canonical encoding of a map.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CborError> {
        match Value::from_canonical(bytes)? {
            Value::Map(all) => Ok(Self(all)),
            _ => Err(CborError::Malformed("not a map")),
        }
    }

    /// The fields of a map that is the value of `key` in another map.
    ///
    /// # Errors
    /// When `value` is not a map.
    pub fn of(value: Value, key: u64) -> Result<Self, CborError> {
        match value {
            Value::Map(all) => Ok(Self(all)),
            _ => Err(CborError::Invalid(key)),
        }
    }

    /// Takes a key, if it is present.
    pub fn take(&mut self, key: u64) -> Option<Value> {
        let at = self.0.iter().position(|(k, _)| *k == key)?;
        Some(self.0.remove(at).1)
    }

    /// Takes a key that must be present.
    ///
    /// # Errors
    /// When the key is missing.
    pub fn need(&mut self, key: u64) -> Result<Value, CborError> {
        self.take(key).ok_or(CborError::Missing(key))
    }

    /// Takes an unsigned integer.
    ///
    /// # Errors
    /// When the key is missing or its value has another type.
    pub fn uint(&mut self, key: u64) -> Result<u64, CborError> {
        match self.need(key)? {
            Value::Uint(number) => Ok(number),
            _ => Err(CborError::Invalid(key)),
        }
    }

    /// Takes an unsigned integer that fits `T`.
    ///
    /// # Errors
    /// When the key is missing, or its value has another type or is too large.
    pub fn small<T: TryFrom<u64>>(&mut self, key: u64) -> Result<T, CborError> {
        T::try_from(self.uint(key)?).map_err(|_| CborError::Invalid(key))
    }

    /// Takes an unsigned integer that may be absent.
    ///
    /// # Errors
    /// When the value has another type.
    pub fn maybe_uint(&mut self, key: u64) -> Result<Option<u64>, CborError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Uint(number)) => Ok(Some(number)),
            Some(_) => Err(CborError::Invalid(key)),
        }
    }

    /// Takes a boolean.
    ///
    /// # Errors
    /// When the key is missing or its value has another type.
    pub fn flag(&mut self, key: u64) -> Result<bool, CborError> {
        match self.need(key)? {
            Value::Bool(flag) => Ok(flag),
            _ => Err(CborError::Invalid(key)),
        }
    }

    /// Takes exactly `N` bytes.
    ///
    /// # Errors
    /// When the key is missing, or its value has another type or length.
    pub fn array<const N: usize>(&mut self, key: u64) -> Result<[u8; N], CborError> {
        exactly(self.need(key)?, key)
    }

    /// Takes exactly `N` bytes that may be absent.
    ///
    /// # Errors
    /// When the value has another type or length.
    pub fn maybe_array<const N: usize>(&mut self, key: u64) -> Result<Option<[u8; N]>, CborError> {
        self.take(key).map(|value| exactly(value, key)).transpose()
    }

    /// Takes at most `len_max` bytes.
    ///
    /// # Errors
    /// When the key is missing, or its value has another type or is longer.
    pub fn bytes(&mut self, key: u64, len_max: usize) -> Result<Vec<u8>, CborError> {
        match self.need(key)? {
            Value::Bytes(bytes) if bytes.len() <= len_max => Ok(bytes),
            _ => Err(CborError::Invalid(key)),
        }
    }

    /// Takes at most `len_max` bytes that may be absent.
    ///
    /// # Errors
    /// When the value has another type or is longer.
    pub fn maybe_bytes(&mut self, key: u64, len_max: usize) -> Result<Option<Vec<u8>>, CborError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bytes(bytes)) if bytes.len() <= len_max => Ok(Some(bytes)),
            Some(_) => Err(CborError::Invalid(key)),
        }
    }

    /// Takes a text of at most `len_max` bytes.
    ///
    /// # Errors
    /// When the key is missing, or its value has another type or is longer.
    pub fn text(&mut self, key: u64, len_max: usize) -> Result<String, CborError> {
        self.maybe_text(key, len_max)?.ok_or(CborError::Missing(key))
    }

    /// Takes a text of at most `len_max` bytes that may be absent.
    ///
    /// # Errors
    /// When the value has another type or is longer.
    pub fn maybe_text(&mut self, key: u64, len_max: usize) -> Result<Option<String>, CborError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Text(text)) if text.len() <= len_max => Ok(Some(text)),
            Some(_) => Err(CborError::Invalid(key)),
        }
    }

    /// Takes an array of at most `items_max`, each read by `item`.
    ///
    /// # Errors
    /// When the key is missing, its value has another type or is too long, or an item is refused.
    pub fn list<T>(
        &mut self,
        key: u64,
        items_max: usize,
        item: impl Fn(Value, u64) -> Result<T, CborError>,
    ) -> Result<Vec<T>, CborError> {
        match self.need(key)? {
            Value::Array(all) if all.len() <= items_max => {
                all.into_iter().map(|value| item(value, key)).collect()
            }
            _ => Err(CborError::Invalid(key)),
        }
    }

    /// Ends the reading. Odd keys that are left are ignored.
    ///
    /// # Errors
    /// [`CborError::NotUnderstood`] with the first even key that is left.
    pub fn finish(self) -> Result<(), CborError> {
        match self.0.iter().find(|(key, _)| key % 2 == 0) {
            Some((key, _)) => Err(CborError::NotUnderstood(*key)),
            None => Ok(()),
        }
    }
}

/// Exactly `N` bytes from the value of `key`.
pub(crate) fn exactly<const N: usize>(value: Value, key: u64) -> Result<[u8; N], CborError> {
    match value {
        Value::Bytes(bytes) => bytes.try_into().map_err(|_| CborError::Invalid(key)),
        _ => Err(CborError::Invalid(key)),
    }
}

/// Builds a map; keys are sorted at the end, absent values are left out.
#[derive(Debug, Default)]
pub struct MapWriter(Vec<(u64, Value)>);

impl MapWriter {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key.
    #[must_use]
    pub fn put(mut self, key: u64, value: Value) -> Self {
        self.0.push((key, value));
        self
    }

    /// Adds an unsigned integer.
    #[must_use]
    pub fn uint(self, key: u64, number: impl Into<u64>) -> Self {
        self.put(key, Value::Uint(number.into()))
    }

    /// Adds bytes.
    #[must_use]
    pub fn bytes(self, key: u64, bytes: &[u8]) -> Self {
        self.put(key, Value::Bytes(bytes.to_vec()))
    }

    /// Adds text.
    #[must_use]
    pub fn text(self, key: u64, text: &str) -> Self {
        self.put(key, Value::Text(text.to_owned()))
    }

    /// Adds a value that may be absent.
    #[must_use]
    pub fn maybe(self, key: u64, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// Adds an array.
    #[must_use]
    pub fn list<T>(self, key: u64, all: &[T], item: impl Fn(&T) -> Value) -> Self {
        self.put(key, Value::Array(all.iter().map(item).collect()))
    }

    /// The map.
    pub fn value(mut self) -> Value {
        self.0.sort_by_key(|(key, _)| *key);
        Value::Map(self.0)
    }

    /// The map's canonical encoding.
    pub fn canonical(self) -> Vec<u8> {
        self.value().to_canonical()
    }
}
