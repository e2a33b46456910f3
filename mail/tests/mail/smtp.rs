//! SMTP: every transcript, wherever its input is cut; and what needs real connections.

use crate::transcript::Transcript;

/// Plays one transcript whole, then cut in two at every byte.
async fn play(name: &str) {
    let path = format!("{}/tests/mail/transcripts/smtp/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let transcript = Transcript::read(&std::fs::read_to_string(path).unwrap());
    transcript.play(0).await;
    for cut in 1..transcript.len() {
        transcript.play(cut).await;
    }
}

#[tokio::test]
async fn every_transcript_comes_out_as_written() {
    let folder = format!("{}/tests/mail/transcripts/smtp", env!("CARGO_MANIFEST_DIR"));
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        eprintln!("{name}");
        play(&name).await;
    }
}
