//! Mail as its clients meet it: transcripts of conversations, and real connections between nodes.
#![allow(unreachable_pub, reason = "this binary is its own only user")]

mod place;
mod queue;
mod smtp;
mod transcript;
