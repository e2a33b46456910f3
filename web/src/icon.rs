//! The site's icon: an arched door in the owner's colour, as SVG for browsers and as PNG for
//! telephones and feed readers.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::avatar::AVATAR_COLOURS;
use crate::headers::SHOWN_ANYWHERE;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;

/// The edge of the PNG, in pixels.
const EDGE: u32 = 192;
/// Samples of a pixel in each direction.
const SAMPLES: u32 = 4;

pub(crate) fn routes() -> Routes {
    Routes::new().get("/icon.svg", Access::Anyone, svg).get("/icon.png", Access::Anyone, png)
}

/// The owner's colour as `#rrggbb`.
fn colour(site: &Site) -> Result<&'static str, Problem> {
    let index = site.profile()?.map_or(0, |profile| usize::from(profile.avatar_colour));
    Ok(AVATAR_COLOURS.get(index).unwrap_or(&AVATAR_COLOURS[0]).1)
}

async fn svg(State(site): State<Site>) -> PageResult {
    let colour = colour(&site)?;
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 48\"><path fill=\"{colour}\" \
         d=\"M0 46V20a20 20 0 0 1 40 0v26a2 2 0 0 1-2 2H2a2 2 0 0 1-2-2z\"/>\
         <path fill=\"#fff\" d=\"M30 24h2v6h-2z\"/></svg>"
    );
    Ok(shown_anywhere("image/svg+xml", svg))
}

async fn png(State(site): State<Site>) -> PageResult {
    let mut door = [0; 3];
    let digits = colour(&site)?.trim_start_matches('#').as_bytes();
    HEXLOWER_PERMISSIVE
        .decode_mut(digits, &mut door)
        .map_err(|error| Problem::Internal(format!("{error:?}")))?;
    let png = encoded(door).map_err(|error| Problem::Internal(error.to_string()))?;
    Ok(shown_anywhere("image/png", png))
}

fn shown_anywhere(media_type: &'static str, body: impl IntoResponse) -> axum::response::Response {
    let headers = [SHOWN_ANYWHERE, (header::CONTENT_TYPE, HeaderValue::from_static(media_type))];
    response::cacheable((headers, body).into_response())
}

/// A part of the drawing.
enum Part {
    Outside,
    Door,
    Handle,
}

/// The part at a point of a square with an edge of 48 units; the door is 40 wide.
fn part_at(x: f32, y: f32) -> Part {
    let x = x - 4.0;
    let is_within = (0.0..40.0).contains(&x) && (0.0..48.0).contains(&y);
    let is_above_arch = y < 20.0 && (x - 20.0).hypot(y - 20.0) > 20.0;
    match (is_within && !is_above_arch, (30.0..32.0).contains(&x) && (24.0..30.0).contains(&y)) {
        (false, _) => Part::Outside,
        (true, false) => Part::Door,
        (true, true) => Part::Handle,
    }
}

fn encoded(door: [u8; 3]) -> Result<Vec<u8>, png::EncodingError> {
    let mut pixels = Vec::with_capacity((EDGE * EDGE * 4) as usize);
    for (y, x) in (0..EDGE).flat_map(|y| (0..EDGE).map(move |x| (y, x))) {
        pixels.extend(pixel(door, x, y));
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, EDGE, EDGE);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// The mean of a pixel's samples.
fn pixel(door: [u8; 3], x: u32, y: u32) -> [u8; 4] {
    let (mut sums, mut covered) = ([0_u32; 3], 0_u32);
    let unit = |pixel: u32, sample: u32| {
        let at = (pixel * SAMPLES + sample) as f32 + 0.5;
        at * 48.0 / (EDGE * SAMPLES) as f32
    };
    for (i, j) in (0..SAMPLES).flat_map(|i| (0..SAMPLES).map(move |j| (i, j))) {
        let colour = match part_at(unit(x, j), unit(y, i)) {
            Part::Outside => continue,
            Part::Door => door,
            Part::Handle => [u8::MAX; 3],
        };
        covered += 1;
        for (sum, value) in sums.iter_mut().zip(colour) {
            *sum += u32::from(value);
        }
    }
    let [red, green, blue] = sums.map(|sum| sum.checked_div(covered).unwrap_or(0) as u8);
    [red, green, blue, (covered * u32::from(u8::MAX) / (SAMPLES * SAMPLES)) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icon_has_the_colour_of_the_door() {
        let door = [0x6d, 0x5a, 0x1e];
        assert_eq!(pixel(door, 0, 0), [0; 4], "beside the arch");
        assert_eq!(pixel(door, EDGE / 2, EDGE - 1), [0x6d, 0x5a, 0x1e, 255]);
        assert_eq!(pixel(door, 35 * 4, 27 * 4), [255; 4], "the handle");
    }
}
