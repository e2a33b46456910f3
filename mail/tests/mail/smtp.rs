//! SMTP: every transcript, wherever its input is cut; and what needs real connections.

use crate::transcript::Transcript;

#[tokio::test]
async fn every_transcript_comes_out_as_written() {
    let folder = format!("{}/tests/mail/transcripts/smtp", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Shown when the test fails, to say which.
        eprintln!("{}", path.display());
        Transcript::read(&std::fs::read_to_string(path).unwrap()).play().await;
    }
}
