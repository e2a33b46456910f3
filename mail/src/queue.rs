//! Mail on its way out.

pub(crate) mod route;
