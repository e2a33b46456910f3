//! QR codes (ISO/IEC 18004) as path data of an SVG, black on white in both colour schemes, since
//! cameras need the contrast.

use qrcode::{Color, EcLevel, QrCode};

/// The quiet zone around a code, in modules (ISO/IEC 18004 6.3.8).
const QUIET: usize = 4;

/// A QR code as a template draws it.
pub(crate) struct Qr {
    /// The dark modules, one unit each, as SVG path data.
    pub(crate) path: String,
    /// The width with the quiet zone, in modules.
    pub(crate) side: usize,
}

impl Qr {
    /// The code of `text`; `None` if it is too long for one. The lowest error correction gives the
    /// largest modules, and a screen is never damaged.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
        let (width, modules) = (code.width(), code.to_colors());
        let mut path = String::new();
        for (y, row) in modules.chunks(width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run.first() == Some(&Color::Dark) {
                    let len = run.len();
                    path.push_str(&format!("M{} {}h{len}v1h-{len}z", x + QUIET, y + QUIET));
                }
                x += run.len();
            }
        }
        Some(Self { path, side: width + 2 * QUIET })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_code_has_finder_patterns_and_quiet_zone() {
        let qr = Qr::of("HELLO").unwrap();
        assert_eq!(qr.side, 21 + 8);
        // The first row of version 1: the finder patterns, seven dark modules at both ends.
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "{}", qr.path);
        assert!(qr.path.contains("M18 4h7v1h-7z"), "{}", qr.path);
        assert!(Qr::of(&"x".repeat(3000)).is_none());
    }
}
