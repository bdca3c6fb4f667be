//! A run killed at any moment goes on, and ends with the same bytes.

use std::{fs, io::Cursor, path::Path, process::Stdio, time::Duration};

use image::ImageFormat;

use crate::{bledsoe, example_photos, json, photos_below, text};

/// 300 small photos in 20 folders: those of the repository, each made distinct by bytes that decoders ignore.
fn folder_of_300(into: &Path) {
    let photos: Vec<Vec<u8>> = photos_below(&example_photos())
        .iter()
        .map(|path| {
            let mut small = Cursor::new(Vec::new());
            image::open(path).unwrap().thumbnail(320, 320).write_to(&mut small, ImageFormat::Jpeg).unwrap();
            small.into_inner()
        })
        .collect();
    for i in 0..300 {
        let folder = into.join(format!("person {:02}", i % 20));
        fs::create_dir_all(&folder).unwrap();
        let distinct = [photos[i % photos.len()].as_slice(), format!("copy {i}").as_bytes()].concat();
        fs::write(folder.join(format!("{i:04}.jpg")), distinct).unwrap();
    }
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    folder_of_300(&photos);
    let embed = |out: &Path, resume: bool| {
        let mut command = bledsoe();
        command.args([
            "embed",
            text(&photos),
            "--out",
            text(out),
            "--detector",
            "hog",
            "--embedder",
            "mobilefacenet",
            "--json",
        ]);
        if resume {
            command.arg("--resume");
        }
        command
    };

    let undisturbed = dir.path().join("undisturbed.parquet");
    let start = std::time::Instant::now();
    let output = embed(&undisturbed, false).output().unwrap();
    let whole = start.elapsed();
    assert!(json(&output)["summary"]["counts"]["faces"].as_u64().unwrap() >= 250);
    let expected = fs::read(&undisturbed).unwrap();

    for (round, share) in [Some(0.1), Some(0.5), Some(0.8), None, None].into_iter().enumerate() {
        let out = dir.path().join(format!("killed-{round}.parquet"));
        let partial = out.with_added_extension("partial");
        let mut child = embed(&out, false).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        match share {
            Some(share) => std::thread::sleep(whole.mul_f64(share)),
            // As soon as a chunk is done, however fast the machine is.
            None => {
                while !has_finished_chunk(&partial) && child.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let resumed = json(&embed(&out, true).output().unwrap())["summary"]["counts"]["resumed"].as_u64().unwrap();
        assert!(share.is_some() || resumed > 0, "a finished chunk was done again");
        assert_eq!(fs::read(&out).unwrap(), expected, "round {round}");
        assert!(!partial.exists());
    }
}

fn has_finished_chunk(partial: &Path) -> bool {
    let Ok(entries) = fs::read_dir(partial) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_none())
}
