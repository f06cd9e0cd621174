use super::*;
use gristmill_sdk::testing::Delivery;
use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gradient(width: u32, height: u32) -> DynamicImage {
    let shade = |at: u32, of: u32| u8::try_from(at * 255 / of).unwrap();
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([shade(x, width), shade(y, height), 90])
    })
    .into()
}

fn thumbnail(body: Vec<u8>) -> Result<gristmill_sdk::testing::Sent, Failure> {
    let mut delivery = Delivery::new();
    delivery.allow("thumbnails");
    delivery.run(handle, Message::with_body(body))?;
    Ok(delivery.sent()[0].clone())
}

#[test]
fn a_picture_shrinks_keeps_its_shape_and_its_format() {
    for (format, mime) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
    ] {
        let sent = thumbnail(encoded(&gradient(640, 320), format)).unwrap();
        assert_eq!(sent.message.content_type.as_deref(), Some(mime));
        assert_eq!(sent.attribute("original-size"), Some("640x320"));
        assert_eq!(sent.attribute("size"), Some("128x64"));
        let small = image::load_from_memory_with_format(&sent.message.body, format).unwrap();
        assert_eq!((small.width(), small.height()), (128, 64));
        let right_bottom = small.to_rgb8().get_pixel(127, 63).0;
        assert!(
            right_bottom[0] > 240 && right_bottom[1] > 240,
            "{right_bottom:?}"
        );
    }
}

#[test]
fn a_small_picture_stays_as_it_is() {
    let clear = RgbaImage::from_pixel(16, 9, Rgba([1, 2, 3, 0]));
    let sent = thumbnail(encoded(&clear.clone().into(), ImageFormat::Png)).unwrap();
    let same = image::load_from_memory(&sent.message.body).unwrap();
    assert_eq!(same.to_rgba8(), clear);
}

#[test]
fn what_is_no_picture_is_rejected() {
    let mut cut = encoded(&gradient(64, 64), ImageFormat::Png);
    cut.truncate(cut.len() / 2);
    let huge = encoded(&gradient(MAX_SIDE + 1, 1), ImageFormat::Png);
    for (body, expected) in [
        (b"no picture at all".to_vec(), "neither PNG nor JPEG"),
        (Vec::new(), "neither PNG nor JPEG"),
        (cut, "cannot be read"),
        (huge, "cannot be read"),
    ] {
        let failure = thumbnail(body).unwrap_err();
        assert!(matches!(failure, Failure::Reject { .. }), "{failure}");
        assert!(
            failure.to_string().contains(expected),
            "{failure} should contain {expected}"
        );
    }
}

/// The samples are what their names say: all but one have thumbnails.
#[test]
fn the_samples_are_pictures_but_one() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
    let mut seen = 0;
    for entry in std::fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        let broken = path.file_stem().unwrap() == "broken";
        let result = thumbnail(std::fs::read(&path).unwrap());
        assert_eq!(result.is_err(), broken, "{}: {result:?}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 7);
}

/// Draws the samples anew: `cargo test -p thumbnail -- --ignored`.
#[test]
#[ignore = "writes into the repository"]
fn draw_the_samples() {
    let circle = |x: u32, y: u32, side: u32| {
        let (x, y, r) = (f64::from(x), f64::from(y), f64::from(side) / 2.0);
        (x - r).hypot(y - r) / r
    };
    let rings = RgbaImage::from_fn(512, 512, |x, y| match circle(x, y, 512) {
        far if far > 1.0 => Rgba([0, 0, 0, 0]),
        far if (far * 8.0).floor() % 2.0 == 0.0 => Rgba([200, 60, 20, 255]),
        _ => Rgba([250, 220, 160, 255]),
    });
    let board = image::GrayImage::from_fn(300, 900, |x, y| {
        image::Luma([if (x / 30 + y / 30) % 2 == 0 { 230 } else { 40 }])
    });
    let turns = |x: u32, y: u32| {
        let (a, b) = (f64::from(x) / 200.0 - 2.1, f64::from(y) / 200.0 - 1.2);
        let (mut re, mut im) = (0.0f64, 0.0f64);
        (0..=255u8)
            .find(|_| {
                (re, im) = (re * re - im * im + a, 2.0 * re * im + b);
                re * re + im * im > 4.0
            })
            .unwrap_or(0)
    };
    let fractal = RgbImage::from_fn(600, 480, |x, y| {
        let n = turns(x, y);
        Rgb([n.wrapping_mul(9), n.wrapping_mul(5), n.saturating_mul(12)])
    });

    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
    let write = |name: &str, bytes: &[u8]| std::fs::write(format!("{samples}/{name}"), bytes);
    write(
        "gradient.png",
        &encoded(&gradient(800, 600), ImageFormat::Png),
    )
    .unwrap();
    write(
        "wide.jpg",
        &encoded(&gradient(1600, 400), ImageFormat::Jpeg),
    )
    .unwrap();
    write("rings.png", &encoded(&rings.into(), ImageFormat::Png)).unwrap();
    write("board.png", &encoded(&board.into(), ImageFormat::Png)).unwrap();
    write("tiny.png", &encoded(&gradient(24, 16), ImageFormat::Png)).unwrap();
    let fractal = encoded(&fractal.into(), ImageFormat::Jpeg);
    write("fractal.jpg", &fractal).unwrap();
    write("broken.jpg", &fractal[..400]).unwrap();
}
