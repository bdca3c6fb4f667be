//! Everything that can be wrong with a photo: listed with its reason, and the run goes on.

use std::fs;

use bledsoe::{dataset::scan, detect::Select, pipeline::embed::embed};
use image::ImageFormat;

use crate::fakes::{Colour, finder, monitored, picture, save};

#[test]
fn each_is_listed_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    picture(1, 5).write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
    let jpeg = jpeg.into_inner();
    save(&picture(1, 5), &file("good_but_called.jpg"));
    save(&picture(0, 5), &file("no_face.png"));
    fs::write(file("cut.jpg"), &jpeg[..jpeg.len() - 40]).unwrap();
    fs::write(file("empty.png"), b"").unwrap();
    fs::write(file("text.jpg"), b"Dear reader,").unwrap();
    fs::write(file("rest_missing.gif"), b"GIF89a\x10\0\x10\0").unwrap();
    // A PNG of 40000x40000 pixels by its header.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x9c\x40\0\0\x9c\x40\x08\x02\0\0\0".to_vec();
    let mut crc = flate2::Crc::new();
    crc.update(&bomb[12..]);
    bomb.extend(crc.sum().to_be_bytes());
    bomb.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    fs::write(file("bomb.png"), bomb).unwrap();
    // A sparse file larger than any photo may be.
    fs::File::create(file("large.jpg")).unwrap().set_len(300 << 20).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("..", file("up")).unwrap();

    let out = tempfile::tempdir().unwrap();
    let (finder, embedder) = (finder(Select::Center), Colour::new("1"));
    let summary = monitored(None, |monitor| {
        let scan = scan(dir.path()).unwrap();
        embed(&scan, &finder, &embedder, "none", &out.path().join("t"), false, monitor).unwrap()
    });
    assert_eq!(summary.counts.faces, 1);
    for (name, stage, word) in [
        ("bomb.png", "decode", "megapixels"),
        ("cut.jpg", "decode", "truncated"),
        ("empty.png", "decode", "empty"),
        ("large.jpg", "decode", "larger"),
        ("no_face.png", "detect", "no face"),
        ("rest_missing.gif", "decode", ""),
        ("text.jpg", "decode", "by its content"),
    ] {
        let entry = summary.skipped.iter().find(|s| s.path == name).unwrap_or_else(|| panic!("{name} is not listed"));
        assert_eq!(entry.stage, stage, "{name}: {}", entry.reason);
        assert!(entry.reason.contains(word) && !entry.reason.is_empty(), "{name}: {}", entry.reason);
    }
}
