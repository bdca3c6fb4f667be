//! Aligning a folder: names that collide, and folders that hold other chips.

use std::{fs, path::Path};

use bledsoe::{
    Error, Result,
    dataset::scan,
    detect::Select,
    pipeline::{
        align::{ChipFormat, align},
        embed::Summary,
    },
};

use crate::fakes::{finder, monitored, picture, save};

fn run(photos: &Path, out: &Path, select: Select, resume: bool, stop_at: Option<usize>) -> Result<Summary> {
    let (finder, scan) = (finder(select), scan(photos).unwrap());
    monitored(stop_at, |monitor| align(&scan, &finder, out, ChipFormat::Png, resume, monitor))
}

fn chips(out: &Path) -> Vec<String> {
    let scan = scan(out).unwrap();
    scan.items.into_iter().map(|item| item.relative).collect()
}

#[test]
fn no_chip_overwrites_another() {
    let (photos, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, faces) in [("a.jpg", 2), ("a_1.jpg", 1), ("b.jpg", 1), ("b.png", 2), ("c.jpg", 0)] {
        save(&picture(faces, 1), &photos.path().join("p").join(name));
    }
    let summary = run(photos.path(), out.path(), Select::All, false, None).unwrap();
    assert_eq!((summary.counts.faces, summary.counts.skipped), (6, 1));
    assert_eq!(
        chips(out.path()),
        ["p/a.png", "p/a_1.png", "p/a_1_face.png", "p/b.jpg.png", "p/b.png.png", "p/b.png_1.png"]
    );
}

#[test]
fn resuming_repeats_only_what_is_missing() {
    let (photos, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for i in 0..300 {
        save(&picture(1, i), &photos.path().join(format!("p/{i:03}.png")));
    }
    let resumed = || run(photos.path(), out.path(), Select::Center, true, None).unwrap().counts.resumed;
    let stop = || assert!(run(photos.path(), out.path(), Select::Center, false, Some(256)).is_err());
    stop();
    assert_eq!(resumed(), 256);
    assert_eq!(chips(out.path()).len(), 300);
    stop();
    fs::remove_file(out.path().join("p/007.png")).unwrap();
    assert_eq!(resumed(), 0, "a chip was deleted");
    stop();
    // The new photo comes last, but now the chip of 007.png needs another name.
    fs::copy(photos.path().join("p/299.png"), photos.path().join("p/007.webp")).unwrap();
    assert_eq!(resumed(), 0);
    assert_eq!(chips(out.path()).iter().filter(|c| c.starts_with("p/007.")).count(), 3);
}

#[test]
fn chips_made_otherwise_are_not_mixed() {
    let (photos, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    save(&picture(2, 1), &photos.path().join("p/a.png"));
    run(photos.path(), out.path(), Select::Center, false, None).unwrap();
    run(photos.path(), out.path(), Select::Center, false, None).unwrap();
    let error = run(photos.path(), out.path(), Select::Largest, false, None).unwrap_err();
    assert!(matches!(error, Error::Mismatch(_)), "{error}");
}
