//! Face regions as exiftool writes them, and ours as exiftool reads them: golden files by tools/reference/regions.sh.

use std::path::{Path, PathBuf};

use bledsoe::{
    geometry::Rect,
    photo::{Stored, Turn},
    regions::{FaceRegion, merge, parse},
};

/// The picture that the script names: 4000 x 3000 pixels, to be turned by a quarter clockwise.
const STORED: (u32, u32, u8) = (4000, 3000, 6);

fn stored() -> Stored {
    let (width, height, orientation) = STORED;
    Stored { width, height, orientation: Turn::from_exif(orientation).unwrap() }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agreement/golden/regions").join(name)
}

fn assert_near(one: Rect, other: Rect) {
    for (a, b) in [(one.left, other.left), (one.top, other.top), (one.right, other.right), (one.bottom, other.bottom)] {
        assert!((a - b).abs() < 0.01, "{one:?}, not {other:?}");
    }
}

#[test]
fn what_exiftool_writes_is_read() {
    // The middle (0.25, 0.4) of the stored picture is (0.6, 0.25) of the upright one; width and height change places.
    let expected = Rect { left: 1500.0 - 0.5, top: 800.0 - 0.5, right: 2100.0 - 0.5, bottom: 1200.0 - 0.5 };
    for name in ["exiftool.xmp", "exiftool-compact.xmp"] {
        let found = parse(&std::fs::read(golden(name)).unwrap(), &stored(), name.as_ref()).unwrap().unwrap();
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert_eq!(found[0].name.as_deref(), Some("Grace Hopper & <co> \"Žofie\""));
        assert_near(found[0].rect, expected);
    }
}

/// The faces that exiftool found in one of our sidecars, in shares of the stored picture: name, middle, size.
fn exiftools(name: &str) -> Vec<(String, [f64; 4])> {
    let text = std::fs::read_to_string(golden(name)).unwrap();
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let info = &found[0]["RegionInfo"];
    assert_eq!(info["AppliedToDimensions"], serde_json::json!({ "H": 3000, "Unit": "pixel", "W": 4000 }));
    let faces = info["RegionList"].as_array().unwrap().iter().filter(|region| region["Type"] == "Face");
    let read = |face: &serde_json::Value| {
        assert_eq!(face["Area"]["Unit"], "normalized");
        let share = |key: &str| face["Area"][key].as_f64().unwrap();
        let name = face["Name"].as_str().unwrap_or_default().to_owned();
        (name, [share("X"), share("Y"), share("W"), share("H")])
    };
    faces.map(read).collect()
}

#[test]
fn exiftool_reads_what_we_write() {
    let ada = FaceRegion {
        name: Some("Ada <\"&'>\u{e9}".into()),
        rect: Rect { left: 299.5, top: 399.5, right: 899.5, bottom: 1199.5 },
    };
    let nobody = FaceRegion { name: None, rect: Rect { left: 2099.5, top: 3199.5, right: 2399.5, bottom: 3599.5 } };
    let new = [ada, nobody];
    let exiftools_own = std::fs::read(golden("exiftool.xmp")).unwrap();
    let cases = [(None, "ours"), (Some(exiftools_own.as_slice()), "added")].map(|(before, name)| {
        let file = golden(&format!("{name}.xmp"));
        let text = merge(before, &stored(), &new, || Ok(Vec::new()), &file).unwrap().text;
        if std::env::var_os("BLEDSOE_WRITE_GOLDEN").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        (before, name, file, text)
    });
    for (before, name, file, text) in cases {
        assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}.xmp is what exiftool was shown");

        let faces = exiftools(&format!("{name}.json"));
        let (others, ours) = faces.split_at(faces.len() - 2);
        assert_eq!(others.len(), usize::from(before.is_some()));
        // x of the stored picture is y of the upright one; y is measured from its right edge.
        let expected = [
            ("Ada <\"&'>\u{e9}", [800.0 / 4000.0, 1.0 - 600.0 / 3000.0, 800.0 / 4000.0, 600.0 / 3000.0]),
            ("", [3400.0 / 4000.0, 1.0 - 2250.0 / 3000.0, 400.0 / 4000.0, 300.0 / 3000.0]),
        ];
        for ((name, area), (expected_name, expected_area)) in ours.iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!(area.iter().zip(expected_area).all(|(a, b)| (a - b).abs() < 2e-6), "{area:?}, {expected_area:?}");
        }
    }
}
