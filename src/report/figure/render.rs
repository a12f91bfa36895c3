//! From a picture to an SVG document or a PNG file.

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;

use super::Picture;
use super::sheet::Sheet;

/// Units of the SVG in a CSS pixel: plotters' coordinates are whole numbers.
const FINE: u32 = 10;
/// Pixels of a PNG in a CSS pixel.
const DENSITY: u32 = 2;
/// Pixels drawn, each way, for one of the PNG: what plotters leaves jagged comes out smooth.
const SAMPLES: u32 = 2;

/// The picture as an SVG document.
pub(super) fn svg(picture: &dyn Picture) -> String {
    let (width, height) = whole(picture.size());
    let mut document = String::new();
    {
        let backend = SVGBackend::with_string(&mut document, (width * FINE, height * FINE));
        let mut area = backend.into_drawing_area();
        picture.draw(&mut Sheet::new(&mut area, f64::from(FINE)));
        area.present().expect("a string takes everything");
    }
    // The size to show it at, which plotters takes to be the size that it is drawn in.
    document.replacen(
        &format!("width=\"{}\" height=\"{}\"", width * FINE, height * FINE),
        &format!("width=\"{width}\" height=\"{height}\""),
        1,
    )
}

/// The picture as a PNG file, at twice its size.
pub(super) fn png(picture: &dyn Picture) -> Vec<u8> {
    let (width, height) = whole(picture.size());
    let drawn = DENSITY * SAMPLES;
    let (wide, high) = (width * drawn, height * drawn);
    let mut pixels = vec![255; 3 * wide as usize * high as usize];
    {
        let backend = BitMapBackend::with_buffer(&mut pixels, (wide, high));
        let mut area = backend.into_drawing_area();
        picture.draw(&mut Sheet::new(&mut area, f64::from(drawn)));
        area.present().expect("a buffer takes everything");
    }
    let pixels = averaged(&pixels, wide as usize);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width * DENSITY, height * DENSITY);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // So many pixels in a metre: shown at the size that it was drawn for.
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: 96 * DENSITY * 10_000 / 254,
        yppu: 96 * DENSITY * 10_000 / 254,
        unit: png::Unit::Meter,
    }));
    (encoder.write_header())
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .expect("a buffer takes everything, and it is as long as its header says");
    file
}

/// Each pixel the mean of `SAMPLES` x `SAMPLES` of those drawn.
fn averaged(pixels: &[u8], wide: usize) -> Vec<u8> {
    let samples = SAMPLES as usize;
    let row = 3 * wide;
    let mut out = Vec::with_capacity(pixels.len() / (samples * samples));
    for rows in pixels.chunks_exact(row * samples) {
        for left in (0..wide).step_by(samples) {
            for channel in 0..3 {
                let of_block = (0..samples * samples).map(|place| {
                    let (y, x) = (place / samples, place % samples);
                    u32::from(rows[y * row + 3 * (left + x) + channel])
                });
                let mean = (of_block.sum::<u32>() + SAMPLES * SAMPLES / 2) / (SAMPLES * SAMPLES);
                out.push(u8::try_from(mean).expect("a mean of bytes"));
            }
        }
    }
    out
}

/// A size in whole pixels, within what a picture can be.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
fn whole((width, height): (f64, f64)) -> (u32, u32) {
    let side = |length: f64| length.ceil().clamp(1.0, 6000.0) as u32;
    (side(width), side(height))
}
