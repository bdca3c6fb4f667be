//! Labels of groups: gender, ethnicity, age band and the like. In: a CSV. Out: which labels a photo has.
//!
//! ```text
//! image,gender,age_band
//! Ada_Lovelace/Ada_Lovelace_0001.jpg,female,20-39
//! Charles_Babbage,male,
//! ```
//!
//! The first column names a photo or a person, the others are groupings. An empty field is no label. Ages are words like
//! others: whoever writes the file makes the bands.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
};

use super::csv;
use crate::{Error, Result};

/// The labels of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    groupings: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    line: usize,
    key: String,
    labels: Vec<Option<String>>,
}

/// Labels found for photos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled<'a> {
    /// For each photo asked for, one label (or none) for each grouping; `None` where no row names the photo.
    pub photos: Vec<Option<&'a [Option<String>]>>,
    /// Rows that gave no photo its labels, in the file's order.
    pub unmatched: Vec<Unmatched>,
}

/// A row that gave no photo its labels.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Unmatched {
    /// Its line in the file, from 1.
    pub line: usize,
    /// Its first column.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Labels {
    /// Reads a file; see [`Labels::parse`].
    ///
    /// # Errors
    /// [`Error::Io`]; as [`Labels::parse`].
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).map_err(|e| Error::io(file, e))?;
        let text = String::from_utf8(bytes).map_err(|_| Error::format(file, "is not text in UTF-8"))?;
        Self::parse(&text, file)
    }

    /// Reads the text of a CSV as this module describes it. `file` is for errors.
    ///
    /// # Errors
    /// [`Error::Format`] naming the line: no groupings, or one twice; an empty first column; two rows of one key that
    /// differ.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let table = csv::parse(text, file)?;
        let groupings = table.header.get(1..).unwrap_or_default().to_vec();
        if groupings.is_empty() {
            let reason = "line 1: expected a column of photos or people, then one for each grouping, such as gender";
            return Err(Error::format(file, reason));
        }
        for (i, name) in groupings.iter().enumerate() {
            if name.is_empty() || groupings[..i].contains(name) {
                let what = if name.is_empty() { "has no name" } else { "has the name of an earlier one" };
                return Err(Error::format(file, format!("line 1: column {} {what}", i + 2)));
            }
        }
        let mut rows: Vec<Row> = Vec::with_capacity(table.rows.len());
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for row in table.rows {
            let mut fields = row.fields.into_iter();
            let key = fields.next().unwrap_or_default().replace('\\', "/");
            if key.is_empty() {
                let reason = format!("line {}: the first column is empty: expected a photo or person", row.line);
                return Err(Error::format(file, reason));
            }
            let labels: Vec<Option<String>> = fields.map(|field| Some(field).filter(|f| !f.is_empty())).collect();
            match known.entry(key.clone()) {
                Entry::Vacant(place) => {
                    place.insert(rows.len());
                    rows.push(Row { line: row.line, key, labels });
                }
                Entry::Occupied(place) => {
                    let earlier = &rows[*place.get()];
                    if earlier.labels != labels {
                        let (line, before) = (row.line, earlier.line);
                        let reason = format!("line {line}: {key:?} has other labels than in line {before}: drop one");
                        return Err(Error::format(file, reason));
                    }
                }
            }
        }
        Ok(Self { groupings, rows })
    }

    /// The names of the groupings: the header's columns after the first.
    pub fn groupings(&self) -> &[String] {
        &self.groupings
    }

    /// The labels of photos, given as path below the folder of images (with `/`) and person.
    ///
    /// A photo takes the first row that names, in this order: its path, its file name, its person, the last folder of
    /// its person. An extension may be left out. A file name counts only where no other photo has it.
    pub fn of<'a>(&'a self, photos: &[(&str, Option<&str>)]) -> Labelled<'a> {
        let rows: BTreeMap<&str, usize> = self.rows.iter().enumerate().map(|(i, row)| (row.key.as_str(), i)).collect();
        // The one photo of each file name, or none where several share it.
        let mut alone: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for &(path, _) in photos {
            for name in [file_name(path), stem(file_name(path))] {
                let only = alone.entry(name).or_insert(Some(path));
                *only = only.filter(|&other| other == path);
            }
        }
        let mut used = vec![false; self.rows.len()];
        let mut find = |&(path, person): &(&str, Option<&str>)| {
            let names = [file_name(path), stem(file_name(path))];
            let names = names.map(|name| Some(name).filter(|name| alone.get(name).is_some_and(Option::is_some)));
            let keys = [[Some(path), Some(stem(path))], names, [person, person.map(file_name)]];
            let row = keys.into_iter().flatten().flatten().find_map(|key| rows.get(key))?;
            used[*row] = true;
            Some(self.rows[*row].labels.as_slice())
        };
        let found = photos.iter().map(&mut find).collect();
        let unmatched = self.rows.iter().zip(&used).filter(|(_, used)| !**used);
        let unmatched = unmatched.map(|(row, _)| Unmatched {
            line: row.line,
            key: row.key.clone(),
            reason: match alone.get(row.key.as_str()) {
                Some(None) => "several photos have this name: give their paths",
                _ => "no such photo or person, or every such photo has a row of its own",
            }
            .to_owned(),
        });
        Labelled { photos: found, unmatched: unmatched.collect() }
    }
}

/// What follows the last `/`.
fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The path without the extension.
fn stem(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, extension)) if !extension.contains('/') && !file_name(stem).is_empty() => stem,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Labels> {
        Labels::parse(text, Path::new("labels.csv"))
    }

    /// The first label of each photo, `-` for an empty one and `?` for no row.
    fn first<'a>(found: &Labelled<'a>) -> Vec<&'a str> {
        let label = |labels: &Option<&'a [Option<String>]>| labels.map_or("?", |l| l[0].as_deref().unwrap_or("-"));
        found.photos.iter().map(label).collect()
    }

    #[test]
    fn photos_go_before_people() {
        let labels =
            parse("image,gender,age\nada/1.jpg,f,20-39\nada,g,\nbob/x,,40-59\n2,h,\n\"cy, jr\",m,1\n").unwrap();
        assert_eq!(labels.groupings(), ["gender", "age"]);
        let photos = [
            ("ada/1.jpg", Some("ada")),
            ("ada/3.jpg", Some("ada")),
            ("bob/x.png", Some("bob")),
            ("bob/2.png", Some("bob")),
            ("old/cy, jr/9.png", Some("old/cy, jr")),
            ("dan/7.png", Some("dan")),
            ("ada", None),
        ];
        let found = labels.of(&photos);
        assert_eq!(first(&found), ["f", "g", "-", "h", "m", "?", "g"]);
        assert_eq!(found.photos[2], Some([None, Some("40-59".to_owned())].as_slice()));
        assert_eq!(found.unmatched, []);
    }

    #[test]
    fn rows_that_match_nothing_are_reported() {
        let labels = parse("person,gender\n1.pgm,f\n\nGhost,m\ns2,f\ns3,m\ns3/1.pgm,m\n").unwrap();
        let photos = [("s1/1.pgm", Some("s1")), ("s2/1.pgm", Some("s2")), ("s3/1.pgm", Some("s3"))];
        // The same photo asked for twice, by two pairs, is still one photo.
        let found = labels.of(&[&photos[..], &photos[..1]].concat());
        assert_eq!(first(&found), ["?", "f", "m", "?"]);
        let unmatched: Vec<_> = found.unmatched.iter().map(|u| (u.line, u.key.as_str())).collect();
        assert_eq!(unmatched, [(2, "1.pgm"), (4, "Ghost"), (6, "s3")]);
        assert!(found.unmatched[0].reason.contains("several photos"), "{:?}", found.unmatched);
    }

    #[test]
    fn wrong_files_are_named_by_line() {
        let says = |text: &str, what: &str| {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("labels.csv: ") && error.contains(what), "{error}");
        };
        says("image\nx\n", "line 1: expected a column");
        says("image,g,\n", "line 1: column 3 has no name");
        says("image,g,g\n", "line 1: column 3 has the name of an earlier one");
        says("image,g\n\n,f\n", "line 3: the first column is empty");
        says("image,g\na,f\nb,m\na,m\n", "line 4: \"a\" has other labels than in line 2");
        assert!(parse("image,g\na,f\na,f\n").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ab./, \n\"]{0,40}", path in "[ab./]{0,6}", person in "[ab/]{0,4}") {
            if let Ok(labels) = parse(&format!("image,gender\n{text}")) {
                prop_assert_eq!(labels.of(&[(path.as_str(), Some(person.as_str()))]).photos.len(), 1);
            }
        }
    }
}
