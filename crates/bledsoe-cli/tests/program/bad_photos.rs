//! A folder of everything that can be wrong with a photo.

use std::{fs, path::Path};

use image::{DynamicImage, ImageFormat};

use crate::{example_photos, json, photos_below, run, text};

fn save(image: &DynamicImage, path: &Path, format: ImageFormat) {
    image.save_with_format(path, format).unwrap();
}

/// A JPEG with an EXIF orientation tag, 1 to 8.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = jpeg[..2].to_vec();
    bytes.extend([0xff, 0xe1]);
    bytes.extend(((exif.len() + 2) as u16).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

/// The photo as a camera with this orientation stored it: the tag's transform undone.
fn stored_as(upright: &DynamicImage, orientation: u8) -> DynamicImage {
    match orientation {
        2 => upright.fliph(),
        3 => upright.rotate180(),
        4 => upright.flipv(),
        5 => upright.rotate90().fliph(),
        6 => upright.rotate270(),
        7 => upright.rotate270().fliph(),
        8 => upright.rotate90(),
        _ => upright.clone(),
    }
}

#[test]
fn each_is_handled_or_listed_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("person");
    fs::create_dir(&folder).unwrap();
    let original = &photos_below(&example_photos())[0];
    let photo = image::open(original).unwrap();
    let jpeg = {
        let mut bytes = std::io::Cursor::new(Vec::new());
        photo.to_rgb8().write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        bytes.into_inner()
    };

    // Good ones in odd clothes.
    for orientation in 1..=8u8 {
        let mut stored = std::io::Cursor::new(Vec::new());
        stored_as(&photo, orientation).to_rgb8().write_to(&mut stored, ImageFormat::Jpeg).unwrap();
        fs::write(folder.join(format!("exif{orientation}.jpg")), with_orientation(stored.get_ref(), orientation))
            .unwrap();
    }
    save(&DynamicImage::from(photo.to_luma8()), &folder.join("grey.png"), ImageFormat::Png);
    save(&DynamicImage::from(photo.to_luma8()), &folder.join("grey.pgm"), ImageFormat::Pnm);
    save(&DynamicImage::from(photo.to_rgb16()), &folder.join("16bit.png"), ImageFormat::Png);
    save(&DynamicImage::from(photo.to_rgba8()), &folder.join("alpha.png"), ImageFormat::Png);
    save(&DynamicImage::from(photo.to_rgb8()), &folder.join("really_a_png.jpg"), ImageFormat::Png);
    save(&DynamicImage::from(photo.to_rgb8()), &folder.join("plain.bmp"), ImageFormat::Bmp);
    save(&DynamicImage::from(photo.to_rgb8()), &folder.join("plain.tiff"), ImageFormat::Tiff);
    let good = 15;

    // Bad ones.
    fs::write(folder.join("truncated.jpg"), &jpeg[..jpeg.len() / 3]).unwrap();
    fs::write(folder.join("empty.jpg"), b"").unwrap();
    fs::write(folder.join("text.jpg"), b"this is not a photo").unwrap();
    // A 40000x40000 PNG by its header.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x9c\x40\0\0\x9c\x40\x08\x02\0\0\0".to_vec();
    bomb.extend([0x86, 0x9d, 0x7c, 0x2b, 0, 0, 0, 0, b'I', b'D', b'A', b'T']);
    fs::write(folder.join("bomb.png"), bomb).unwrap();
    save(&DynamicImage::new_rgb8(64, 64), &folder.join("black.png"), ImageFormat::Png);
    let mut bad = vec!["truncated.jpg", "empty.jpg", "text.jpg", "bomb.png", "black.png"];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path(), folder.join("loop")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("dangling.jpg")).unwrap();
        bad.push("dangling.jpg");
    }

    let out = dir.path().join("faces.parquet");
    let output = run(&["embed", text(dir.path()), "--out", text(&out), "--engine", "rten", "--json"]);
    let result = json(&output);
    assert_eq!(output.status.code(), Some(1), "{result}");
    let skipped = result["summary"]["skipped"].as_array().unwrap();
    for name in &bad {
        let entry = skipped.iter().find(|s| s["path"].as_str().unwrap().ends_with(name));
        let entry = entry.unwrap_or_else(|| panic!("{name} is not listed: {skipped:?}"));
        assert!(!entry["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(result["summary"]["counts"]["faces"], good, "{result}");
    let listed = fs::read_to_string(dir.path().join("faces.parquet.skipped.csv")).unwrap();
    assert!(bad.iter().all(|name| listed.contains(name)), "{listed}");

    // Upright again, all eight orientations show the same face.
    let upright = run(&[
        "verify",
        text(&folder.join("exif1.jpg")),
        text(&folder.join("exif6.jpg")),
        "--engine",
        "rten",
        "--json",
    ]);
    assert!(json(&upright)["similarity"].as_f64().unwrap() > 0.95);
}

#[test]
fn what_cannot_run_says_so_and_exits_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let out = dir.path().join("out.parquet");
    for args in [
        &["embed", text(&nowhere), "--out", text(&out)][..],
        &["embed", text(dir.path()), "--out", text(&out)],
        &["embed", text(&example_photos()), "--out", text(&out), "--embedder", "no-such-model"],
        &["embed", text(&example_photos()), "--out", text(&out), "--engine", "fast"],
        &["identify", "--model", text(&nowhere), text(&nowhere)],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
}
