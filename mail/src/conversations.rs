//! The client's lines of the transcripts, as a corpus for fuzz tests.

/// The lines that clients send in the transcripts of a protocol, one entry for each transcript.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
pub(crate) fn client_lines(protocol: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mail/transcripts")
        .join(protocol);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let client_lines = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("C:"));
        lines
            .map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect::<String>()
            .into_bytes()
    };
    files.iter().map(client_lines).filter(|lines| !lines.is_empty()).collect()
}
