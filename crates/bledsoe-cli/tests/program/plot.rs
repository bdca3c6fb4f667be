//! The page of points, used by a browser where there is one.

use std::{fs, path::Path, process::Command};

use crate::{
    example_photos, json, run,
    tables::{row, write},
    text,
};

#[test]
fn points_are_turned_pointed_at_and_searched_in_a_browser() {
    let dir = tempfile::tempdir().unwrap();
    let (table, page, still) =
        (dir.path().join("f.parquet"), dir.path().join("space.html"), dir.path().join("space.png"));
    let rows: Vec<_> = (0..20).flat_map(|person| (0..6).map(move |i| row(&format!("person_{person}"), i))).collect();
    write(&table, "made up", &rows);
    let args = ["plot", text(&table), "--out", text(&page), "--png", text(&still), "--epochs", "300", "--json"];
    let plotted = json(&run(&args));
    assert_eq!(
        (&plotted["faces"], &plotted["groups"], &plotted["without_thumbnail"]),
        (&120.into(), &20.into(), &120.into())
    );
    assert!(image::open(&still).unwrap().to_rgb8().pixels().any(|pixel| pixel.0 == [0, 0x72, 0xb2]));

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/measure/space.py");
    let there =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there("python3") || !["chromium", "chromium-browser", "google-chrome"].into_iter().any(there) {
        crate::skipped(format_args!("the page of points in a browser (needs python3 and chromium)"));
        return;
    }
    let used = Command::new("python3").arg(script).args([text(&page), "person 13"]).output().unwrap();
    let found = json(&used);
    assert!(used.status.success(), "{found}");
    assert_eq!((&found["points"], &found["searched"]), (&120.into(), &6.into()));
}

#[test]
fn photos_have_their_faces_on_the_page_and_labels_their_colours() {
    let dir = tempfile::tempdir().unwrap();
    let (page, labels) = (dir.path().join("space.html"), dir.path().join("labels.csv"));
    let photos = example_photos();
    fs::write(&labels, "who,office\nBarack_Obama,president\nJoe_Biden,president\n").unwrap();
    let args = ["plot", text(&photos), "--out", text(&page), "--labels", text(&labels), "--colour", "office", "--json"];
    let plotted = json(&run(&args));
    // Too few for t-SNE.
    assert_eq!(plotted["settings"]["method"], "principal components", "{plotted}");
    assert_eq!((&plotted["groups"], &plotted["without_thumbnail"]), (&2.into(), &0.into()));
    assert!(fs::read_to_string(&page).unwrap().contains("data:image/jpeg"));
    let wrong = run(&["plot", text(&photos), "--out", text(&page), "--labels", text(&labels), "--colour", "job"]);
    assert!(wrong.status.code() == Some(2) && String::from_utf8_lossy(&wrong.stderr).contains("office"));
}
