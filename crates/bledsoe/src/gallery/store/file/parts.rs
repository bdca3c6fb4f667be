//! The search index in the file: [`Settled`] rows as [`crate::search`] writes them, cut into sealed parts, so that a
//! row can be wiped by writing few of them.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    ops::Range,
};

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Db, json, seal::Place};
use crate::{
    Error, Result,
    gallery::store::TemplateId,
    search::{Cells, Exact, Index, Layout},
};

/// Bytes of a part.
const PART: u64 = 64 << 10;

/// Rows of int8 that the file keeps.
pub(super) enum Settled {
    /// All are looked at.
    Scanned(Exact),
    /// Too many for that.
    Grouped(Cells),
}

impl Settled {
    /// One more than the highest row.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Scanned(exact) => exact.rows(),
            Self::Grouped(cells) => cells.rows(),
        }
    }

    fn holds(&self, row: usize) -> bool {
        match self {
            Self::Scanned(exact) => exact.holds(row),
            Self::Grouped(cells) => cells.holds(row),
        }
    }

    /// What the index remembers of the vector of `row`.
    pub(super) fn vector(&self, row: usize) -> Option<Vec<f32>> {
        match self {
            Self::Scanned(exact) => exact.vector(row),
            Self::Grouped(cells) => cells.vector(row),
        }
    }

    pub(super) fn index(&self) -> &dyn Index {
        match self {
            Self::Scanned(exact) => exact,
            Self::Grouped(cells) => cells,
        }
    }

    pub(super) fn index_mut(&mut self) -> &mut dyn Index {
        match self {
            Self::Scanned(exact) => exact,
            Self::Grouped(cells) => cells,
        }
    }

    fn layout(&self) -> Layout {
        match self {
            Self::Scanned(exact) => exact.layout(),
            Self::Grouped(cells) => cells.layout(),
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Scanned(exact) => exact.write(out),
            Self::Grouped(cells) => cells.write(out),
        }
    }
}

/// What part 0 says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    layout: Layout,
    length: u64,
    /// All enrolled templates up to this number are in the index.
    pub(super) last: TemplateId,
}

/// What the index in the file is, if there is one. There is none where an earlier version left a graph: it is built
/// anew, and written over what is there.
pub(super) fn head(db: &Db) -> Result<Option<Head>> {
    let Some(piece) = part(db, 0)? else { return Ok(None) };
    let head: Head = serde_json::from_slice(&piece).map_err(|_| broken(db, "its first part"))?;
    Ok((!head.layout.is_outdated()).then_some(head))
}

/// The index in the file, and the template of each row; 0 where there is none.
pub(super) fn load(db: &Db) -> Result<Option<(Head, Settled, Vec<TemplateId>)>> {
    let Some(head) = head(db)? else { return Ok(None) };
    // A damaged length must not ask for more memory than there is in the file.
    let there = db.count("SELECT sum(length(sealed)) FROM part WHERE number > 0")?;
    if i64::try_from(head.length).map_or(true, |length| length > there) {
        return Err(broken(db, "its length"));
    }
    let parts = Reader { db, next: 1, piece: Vec::new(), read: 0 };
    let settled = if head.layout.has_cells() {
        Cells::read(parts, head.length, &db.path).map(Settled::Grouped)
    } else {
        Exact::read(parts, head.length, &db.path).map(Settled::Scanned)
    };
    let settled = settled.map_err(|e| match e {
        Error::Format { reason, .. } => broken(db, reason),
        other => other,
    })?;
    let mut templates = vec![0; settled.rows()];
    let mut live = 0;
    db.each("SELECT template, row FROM place", [], |row| {
        let (template, row) = (db.number(row, 0)?, db.number(row, 1)?);
        let place = usize::try_from(row).ok().filter(|&row| settled.holds(row));
        match place.and_then(|row| templates.get_mut(row)) {
            Some(free @ 0) if template > 0 => *free = template,
            _ => return Err(broken(db, format!("the place of template {template}"))),
        }
        live += 1;
        Ok(())
    })?;
    if live != settled.index().len() || settled.index().dim() != db.model.dim {
        return Err(broken(db, "its rows"));
    }
    Ok(Some((head, settled, templates)))
}

/// Writes the index over the one in the file.
pub(super) fn save(db: &Db, settled: &Settled, templates: &[TemplateId], last: TemplateId) -> Result<()> {
    let mut out = Writer { db, number: 0, piece: Vec::with_capacity(PART as usize), length: 0 };
    let written = settled.write(&mut out).and_then(|()| out.finish());
    written.map_err(|e| e.downcast::<Error>().unwrap_or_else(|e| Error::io(&db.path, e)))?;
    db.execute("DELETE FROM part WHERE number > ?1", [out.number])?;
    put(db, 0, &json(&Head { layout: settled.layout(), length: out.length, last })?)?;
    db.execute("DELETE FROM place", [])?;
    let mut rows: Vec<(TemplateId, usize)> = templates.iter().copied().zip(0..).filter(|place| place.0 != 0).collect();
    rows.sort_unstable();
    for (template, row) in rows {
        db.execute("INSERT INTO place (template, row) VALUES (?1, ?2)", [template, row as i64])?;
    }
    Ok(())
}

/// Erases the index.
pub(super) fn clear(db: &Db) -> Result<()> {
    db.execute("DELETE FROM place", [])?;
    db.execute("DELETE FROM part", []).map(|_| ())
}

/// Overwrites all that the index holds of `templates`. One that cannot be read is erased whole, and so is an outdated
/// one.
pub(super) fn wipe(db: &Db, templates: &[TemplateId]) -> Result<()> {
    match zero(db, templates) {
        Err(Error::Format { .. }) => clear(db),
        wiped => wiped,
    }
}

fn zero(db: &Db, templates: &[TemplateId]) -> Result<()> {
    let Some(head) = head(db)? else { return clear(db) };
    let mut touched: BTreeMap<u64, Vec<Range<u64>>> = BTreeMap::new();
    for template in templates {
        let row = db.one("SELECT row FROM place WHERE template = ?1", [template], |row| row.get::<_, i64>(0))?;
        let Some(row) = row else { continue };
        db.execute("DELETE FROM place WHERE template = ?1", [template])?;
        let extents = u64::try_from(row).ok().and_then(|row| head.layout.of_row(row));
        let extents = extents.filter(|extents| extents.iter().all(|extent| extent.end <= head.length));
        for extent in extents.ok_or_else(|| broken(db, "its layout"))? {
            for part in extent.start / PART..extent.end.div_ceil(PART) {
                touched.entry(part).or_default().push(extent.clone());
            }
        }
    }
    for (number, extents) in touched {
        let start = number * PART;
        let number = number as i64 + 1;
        let mut piece = part(db, number)?.ok_or_else(|| broken(db, format!("part {number}")))?;
        for extent in extents {
            let [from, to] = [extent.start, extent.end].map(|place| place.saturating_sub(start).min(PART) as usize);
            piece.get_mut(from..to).ok_or_else(|| broken(db, format!("part {number}")))?.fill(0);
        }
        put(db, number, &piece)?;
    }
    Ok(())
}

fn part(db: &Db, number: i64) -> Result<Option<Vec<u8>>> {
    let found = db.all("SELECT sealed FROM part WHERE number = ?1", [number], |row| {
        let piece = db.seal.open(Place::part(number), db.blob(row, 0)?);
        piece.ok_or_else(|| broken(db, format!("part {number}")))
    });
    Ok(found?.pop())
}

fn put(db: &Db, number: i64, piece: &[u8]) -> Result<()> {
    let sealed = db.seal.close(Place::part(number), piece)?;
    db.execute(
        "INSERT INTO part (number, sealed) VALUES (?1, ?2) ON CONFLICT (number) DO UPDATE SET sealed = excluded.sealed",
        params![number, sealed],
    )?;
    Ok(())
}

fn broken(db: &Db, what: impl std::fmt::Display) -> Error {
    db.damaged(format!("the search index ({what}); it can be built anew"))
}

/// Reads one part after the other.
struct Reader<'a> {
    db: &'a Db,
    next: i64,
    piece: Vec<u8>,
    read: usize,
}

impl Read for Reader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.read == self.piece.len() {
            match part(self.db, self.next).map_err(io::Error::other)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
            (self.read, self.next) = (0, self.next + 1);
        }
        let length = out.len().min(self.piece.len() - self.read);
        out[..length].copy_from_slice(&self.piece[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Writes one part after the other.
struct Writer<'a> {
    db: &'a Db,
    number: i64,
    piece: Vec<u8>,
    length: u64,
}

impl Writer<'_> {
    fn finish(&mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.number += 1;
            put(self.db, self.number, &self.piece).map_err(io::Error::other)?;
            self.piece.clear();
        }
        Ok(())
    }
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PART as usize - self.piece.len());
        self.piece.extend_from_slice(&bytes[..length]);
        self.length += length as u64;
        if self.piece.len() == PART as usize {
            self.finish()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
