//! Mail as its clients meet it: transcripts of conversations, and real connections between nodes.

mod place;
mod smtp;
mod transcript;
