//! Embedding a folder: interruption, resuming, and outputs that cannot be written.

use std::{fs, path::Path};

use bledsoe::{
    Error, Result,
    dataset::scan,
    detect::Select,
    pipeline::embed::{Summary, embed},
};

use crate::fakes::{Colour, finder, monitored, picture, save};

fn folder_of(photos: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..photos {
        save(&picture(1, i), &dir.path().join(format!("p{}/{i:04}.png", i % 7)));
    }
    dir
}

fn run(photos: &Path, out: &Path, sha256: &'static str, resume: bool, stop_at: Option<usize>) -> Result<Summary> {
    let (finder, embedder) = (finder(Select::Center), Colour::new(sha256));
    let scan = scan(photos).unwrap();
    monitored(stop_at, |monitor| embed(&scan, &finder, &embedder, "none", out, resume, monitor))
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes() {
    let photos = folder_of(600);
    let out = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| out.path().join(name));
    run(photos.path(), &whole, "1", false, None).unwrap();
    assert!(matches!(run(photos.path(), &stopped, "1", false, Some(256)), Err(Error::Interrupted)));
    assert!(!stopped.exists(), "half a table");
    let summary = run(photos.path(), &stopped, "1", true, None).unwrap();
    assert_eq!((summary.counts.photos, summary.counts.resumed), (600, 256));
    assert_eq!(fs::read(&whole).unwrap(), fs::read(&stopped).unwrap());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2, "nothing else is left behind");
}

#[test]
fn what_has_changed_is_done_anew() {
    let photos = folder_of(300);
    let out = tempfile::tempdir().unwrap();
    let table = out.path().join("t");
    let stop = || assert!(run(photos.path(), &table, "1", false, Some(256)).is_err());
    let resumed = |sha256, resume| run(photos.path(), &table, sha256, resume, None).unwrap().counts.resumed;
    stop();
    assert_eq!(resumed("1", true), 256);
    stop();
    assert_eq!(resumed("2", true), 0, "another model file under the same name");
    stop();
    assert_eq!(resumed("1", false), 0, "without --resume");
    stop();
    save(&picture(1, 9999), &photos.path().join("p0/0000.png"));
    assert_eq!(resumed("1", true), 0, "another photo under the same name");
}

#[test]
fn outputs_that_cannot_be_written_are_told_before_the_work() {
    let photos = folder_of(3);
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    fs::write(&file, b"x").unwrap();
    for target in [out.path(), &file.join("t"), Path::new("/proc/t")] {
        let error = run(photos.path(), target, "1", false, None).unwrap_err().to_string();
        assert!(error.contains(target.to_str().unwrap()), "{error}");
    }
}
