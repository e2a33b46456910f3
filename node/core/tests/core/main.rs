//! What can only be seen from outside the process.

mod kill;
