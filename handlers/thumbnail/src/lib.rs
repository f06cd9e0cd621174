//! An example of heavier work: a PNG or JPEG picture becomes a thumbnail in `thumbnails`.
//!
//! The thumbnail has the format of the picture and at most 128 pixels on its longer side. The
//! decoder is safe Rust in a sandbox: a hostile picture costs one delivery and nothing else.

use std::io::Cursor;

use gristmill_sdk::prelude::*;
use image::{DynamicImage, ImageReader, Limits};

/// The longest side of a thumbnail, in pixels.
const SIDE: u32 = 128;
/// The longest side of a picture, in pixels.
const MAX_SIDE: u32 = 8192;
/// The most bytes of the decoded picture. A progressive JPEG takes thrice that while it is decoded,
/// and all of it has to fit into the 64 MiB of a handler.
const MAX_DECODED: u64 = 16 * 1024 * 1024;

#[handler]
fn handle(message: Message) -> Result<(), Failure> {
    let mut reader = ImageReader::new(Cursor::new(&message.body)).with_guessed_format()?;
    let format = reader
        .format()
        .or_reject("the body is neither PNG nor JPEG")?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED);
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    let picture = reader.decode().or_reject("the picture cannot be read")?;

    let mut body = Cursor::new(Vec::new());
    let small = shrink(&picture);
    small.write_to(&mut body, format)?;
    Outgoing::bytes(body.into_inner())
        .content_type(format.to_mime_type())
        .attribute("original-id", &message.id)
        .attribute("original-size", size(&picture))
        .attribute("size", size(&small))
        .send_to("thumbnails")?;
    Ok(())
}

/// A picture that is small enough stays as it is.
fn shrink(picture: &DynamicImage) -> DynamicImage {
    if picture.width().max(picture.height()) <= SIDE {
        return picture.clone();
    }
    picture.thumbnail(SIDE, SIDE)
}

fn size(picture: &DynamicImage) -> String {
    format!("{}x{}", picture.width(), picture.height())
}

#[cfg(test)]
mod tests;
