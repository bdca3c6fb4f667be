//! Files that say which faces belong together: `clusters.csv`, and pairs that are of one person or of two. In: CSV.
//! Out: faces, named by their photo and their number in it.
//!
//! ```text
//! path,face,cluster,confidence,rival            first,second
//! photos/a.jpg,0,Ada Lovelace,0.99,             photos/a.jpg,photos/b.jpg
//! photos/a.jpg,1,person-00002,0.71,person-00007 photos/a.jpg#1,photos/c.jpg#0
//! ```
//!
//! In a file of pairs the names of the two columns are free; `#1` is the second face of a photo, and may be left out
//! where there is only one.

use std::{fmt::Write as _, fs, path::Path};

use super::csv;
use crate::{Error, Result};

/// A face of a file of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFace {
    /// The photo.
    pub path: String,
    /// Its number in the photo, from 0; `None` where it is the only one.
    pub face: Option<u32>,
}

/// A row of a file of pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacePair {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The two faces.
    pub faces: [NamedFace; 2],
}

/// A face and its cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusteredFace {
    /// The photo.
    pub path: String,
    /// Its number in the photo, from 0.
    pub face: u32,
    /// The name of its cluster.
    pub cluster: String,
    /// The probability that it belongs there, 0 to 1, where it is known.
    pub confidence: Option<f64>,
    /// The other cluster that it is most like, if any is near.
    pub rival: Option<String>,
}

/// Reads pairs of faces.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] for anything but two columns, or an empty field.
pub fn read_pairs(file: &Path) -> Result<Vec<FacePair>> {
    let csv = csv::parse(&read_text(file)?, file)?;
    if csv.header.len() != 2 {
        return Err(Error::format(file, format!("{} columns: expected two, of photos", csv.header.len())));
    }
    let pair = |row: csv::Row| match row.fields.as_slice() {
        [first, second] if !first.is_empty() && !second.is_empty() => {
            Ok(FacePair { line: row.line, faces: [named(first), named(second)] })
        }
        _ => Err(Error::format(file, format!("line {}: a photo is missing", row.line))),
    };
    csv.rows.into_iter().map(pair).collect()
}

fn named(text: &str) -> NamedFace {
    match text.rsplit_once('#').and_then(|(path, number)| Some((path, number.parse().ok()?))) {
        Some((path, face)) => NamedFace { path: path.to_owned(), face: Some(face) },
        None => NamedFace { path: text.to_owned(), face: None },
    }
}

/// Reads clusters: the columns `path`, `face` and `cluster`, and `confidence` and `rival` if they are there; others are
/// passed over. Rows without a cluster are left out.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] without one of the first three columns, or for a number that is none.
pub fn read(file: &Path) -> Result<Vec<ClusteredFace>> {
    let csv = csv::parse(&read_text(file)?, file)?;
    let find = |name: &str| csv.header.iter().position(|column| column == name);
    let need = |name: &str| find(name).ok_or_else(|| Error::format(file, format!("has no column {name}")));
    let (path, face, cluster) = (need("path")?, need("face")?, need("cluster")?);
    let (confidence, rival) = (find("confidence"), find("rival"));
    let mut rows = Vec::with_capacity(csv.rows.len());
    for row in csv.rows.iter().filter(|row| !row.fields[cluster].is_empty()) {
        let text = |column: Option<usize>| column.map(|column| &row.fields[column]).filter(|text| !text.is_empty());
        let wrong = |what: &str, text: &str| Error::format(file, format!("line {}: {what} {text:?}", row.line));
        rows.push(ClusteredFace {
            path: row.fields[path].clone(),
            face: row.fields[face].parse().map_err(|_| wrong("no number of a face:", &row.fields[face]))?,
            cluster: row.fields[cluster].clone(),
            confidence: match text(confidence) {
                Some(text) => Some(text.parse().map_err(|_| wrong("no confidence:", text))?),
                None => None,
            },
            rival: text(rival).cloned(),
        });
    }
    Ok(rows)
}

/// Writes clusters as [`read()`] reads them.
///
/// # Errors
/// [`Error::Io`].
pub fn write(file: &Path, rows: &[ClusteredFace]) -> Result<()> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut csv = String::from("path,face,cluster,confidence,rival\n");
    for row in rows {
        let confidence = row.confidence.map_or(String::new(), |confidence| format!("{confidence:.4}"));
        let rival = row.rival.as_deref().map_or(String::new(), quoted);
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{},{},{},{confidence},{rival}", quoted(&row.path), row.face, quoted(&row.cluster));
    }
    fs::write(file, csv).map_err(|e| Error::io(file, e))
}

fn read_text(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|e| Error::io(file, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.csv");
        fs::write(&file, text).unwrap();
        (dir, file)
    }

    #[test]
    fn clusters_come_back_as_they_were_written() {
        let row = |path: &str, cluster: &str, confidence, rival: Option<&str>| ClusteredFace {
            path: path.into(),
            face: 3,
            cluster: cluster.into(),
            confidence,
            rival: rival.map(Into::into),
        };
        let rows = [row("a, \"b\".jpg", "Ada", Some(0.25), None), row("ü.jpg", "x,y", None, Some("Bob \"B\""))];
        let (_dir, file) = written("");
        write(&file, &rows).unwrap();
        assert_eq!(read(&file).unwrap(), rows);
    }

    #[test]
    fn columns_of_the_users_own_and_rows_without_a_cluster_are_passed_over() {
        let (_dir, file) = written("cluster,note,face,path\nAda,mine,0,a.jpg\n,,1,b.jpg\n");
        let rows = read(&file).unwrap();
        assert_eq!((rows.len(), &*rows[0].path, rows[0].confidence), (1, "a.jpg", None));
        for wrong in ["path,face\na,0\n", "path,face,cluster\na,one,Ada\n", ""] {
            let (_dir, file) = written(wrong);
            assert!(matches!(read(&file), Err(Error::Format { .. })), "{wrong:?}");
        }
    }

    #[test]
    fn a_face_of_a_pair_may_have_a_number() {
        let (_dir, file) = written("first,second\na.jpg, b#2.jpg\nc.jpg#1,d#x\n");
        let pairs = read_pairs(&file).unwrap();
        let face = |path: &str, face| NamedFace { path: path.into(), face };
        assert_eq!(pairs[0].faces, [face("a.jpg", None), face("b#2.jpg", None)]);
        assert_eq!((pairs[1].line, &pairs[1].faces), (3, &[face("c.jpg", Some(1)), face("d#x", None)]));
        for wrong in ["a,b,c\n1,2,3\n", "a,b\n1,\n"] {
            let (_dir, file) = written(wrong);
            assert!(matches!(read_pairs(&file), Err(Error::Format { .. })), "{wrong:?}");
        }
    }
}
