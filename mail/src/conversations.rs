//! What clients say in the transcripts, for tests that damage it.

/// The lines that clients say in a folder of transcripts, one conversation each.
pub(crate) fn said(protocol: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mail/transcripts")
        .join(protocol);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let conversation = |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("C:"));
        lines
            .map(|line| format!("{}\r\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect::<String>()
            .into_bytes()
    };
    files.iter().map(conversation).filter(|said| !said.is_empty()).collect()
}
