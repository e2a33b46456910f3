//! A text as a QR code for a page: path data for an SVG, drawn black on white in either scheme
//! because cameras want it so.

use qrcode::{Color, EcLevel, QrCode};

/// The white that must stand around a code, in modules (ISO/IEC 18004 6.3.8).
const QUIET: usize = 4;

/// A QR code as a template draws it.
pub(crate) struct Qr {
    /// The dark modules, one unit each, as SVG path data.
    pub(crate) path: String,
    /// The width of the whole with the white around it, in modules.
    pub(crate) side: usize,
}

impl Qr {
    /// The code of `text`; `None` if it is longer than a code can hold. The least error correction
    /// makes the largest modules, and nothing scratches a screen.
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
    fn a_code_has_its_corners_and_its_quiet_zone() {
        let qr = Qr::of("HELLO").unwrap();
        assert_eq!(qr.side, 21 + 8);
        // The first row of version 1: seven dark modules at both ends, the corners every reader
        // looks for.
        assert!(qr.path.starts_with("M4 4h7v1h-7z"), "{}", qr.path);
        assert!(qr.path.contains("M18 4h7v1h-7z"), "{}", qr.path);
        assert!(Qr::of(&"x".repeat(3000)).is_none());
    }
}
