//! A refused field of a form: the form is sent back with the cause and the remedy beside the field.

/// Which field is wrong, and why.
pub(crate) struct Fault {
    field: &'static str,
    /// For the person: the cause, then what to do.
    text: String,
}

impl Fault {
    pub(crate) fn new(field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into() }
    }

    /// The text for `field`, if it is the wrong one.
    pub(crate) fn of<'a>(fault: Option<&'a Self>, field: &str) -> Option<&'a str> {
        fault.filter(|fault| fault.field == field).map(|fault| fault.text.as_str())
    }
}

/// The text for a value of `len` bytes whose limit is `len_max` bytes.
pub(crate) fn too_long(what: &str, len: usize, len_max: usize) -> String {
    format!(
        "The {what} is too long: {len} bytes, and {len_max} is the most. Letters with accents and \
         other scripts take two bytes or more. Shorten it."
    )
}
