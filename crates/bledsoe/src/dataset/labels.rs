//! Labels of groups: gender, ethnicity, age band and the like. In: a CSV. Out: which labels a photo has.
//!
//! ```csv
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
