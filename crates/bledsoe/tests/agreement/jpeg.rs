//! The pixels of JPEGs, whole and reduced, against libjpeg-turbo's (`tools/reference/jpeg.py`).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bledsoe::photo::{Limits, Photo, Reduction};
use sha2::{Digest, Sha256};

#[derive(serde::Deserialize)]
struct Golden {
    /// The file as base64, then the hashes of its pixels, whole and at 1/2, 1/4 and 1/8.
    small: BTreeMap<String, [String; 5]>,
    /// The hashes.
    photos: BTreeMap<String, [String; 4]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/jpeg.json")).unwrap()
}

fn agrees(name: &str, bytes: &[u8], hashes: &[String]) {
    let reductions = [Reduction::None, Reduction::Half, Reduction::Quarter, Reduction::Eighth];
    for (reduction, expected) in reductions.into_iter().zip(hashes) {
        let reduced = Photo::decode_reduced(bytes, &Limits::default(), reduction).unwrap();
        assert_eq!(reduced.reduction(), reduction, "{name}");
        let hash: String = Sha256::digest(reduced.photo.rgb()).iter().take(8).map(|b| format!("{b:02x}")).collect();
        assert_eq!(&hash, expected, "{name} {reduction:?}");
    }
}

#[test]
fn every_sampling_and_process_decodes_to_libjpegs_pixels() {
    for (name, [file, hashes @ ..]) in golden().small {
        agrees(&name, &STANDARD.decode(file).unwrap(), &hashes);
    }
}

#[test]
fn photos_decode_to_libjpegs_pixels() {
    let given = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets");
    let Some(root) = given.or(Some(beside)).filter(|folder| folder.is_dir()) else {
        crate::skipped(format_args!("photos_decode_to_libjpegs_pixels: no data sets; set BLEDSOE_DATASETS"));
        return;
    };
    let photos = golden().photos;
    for (name, hashes) in &photos {
        agrees(name, &std::fs::read(root.join(name)).unwrap(), hashes);
    }
    eprintln!("jpeg: {} of {} photos have libjpeg-turbo's pixels, whole and reduced", photos.len(), photos.len());
}
