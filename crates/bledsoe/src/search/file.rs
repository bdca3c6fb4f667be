//! Indices on disk. All numbers are little-endian, without padding:
//!
//! ```text
//! "bledsoe search 1"   16 bytes
//! storage, kind        2 bytes: the code in `STORAGES`; 0 of exact search, 2 of cells
//! dim, rows            2 x u64
//! live                 rows x u8: 1 where a row holds a vector
//! scanned, kept        per copy: rows x dim numbers; of int8, then rows x f32 scales; of int4, nothing
//!
//! cells                rows x u32, of cells only, as all that follows: the cell of each row, or the number of cells
//! read                 f32
//! number of cells      u64
//! ```
//!
//! Rows are in the order of their numbers; they are put together by cell when they are read. [`Layout`] tells where the
//! bytes of one row are, so that a row can be wiped without reading the others; the centres of cells are made of the rows
//! when these are read, so that a centre does not keep what was wiped. Kind 1 was a graph, which only earlier
//! versions can read.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Take, Write},
    ops::Range,
    path::Path,
};

use half::f16;
use serde::{Deserialize, Serialize};

use super::{
    Cells, CellsOptions, Exact, Index, Storage,
    copies::Copies,
    vectors::{Numbers, Vectors},
};
use crate::{Error, Result, whole_file};

const MAGIC: &[u8; 16] = b"bledsoe search 1";
/// Codes 3 and 4 were storages of earlier versions.
const STORAGES: [(u8, Storage); 6] = [
    (0, Storage::F32),
    (1, Storage::F16),
    (2, Storage::Int8),
    (5, Storage::Int4Int8),
    (6, Storage::Int4F16),
    (7, Storage::Int4F32),
];
/// Numbers converted at a time.
const CHUNK: usize = 1 << 18;
/// Bytes before the first row.
const HEAD: u64 = 34;
/// Kinds of index.
const EXACT: u8 = 0;
const GRAPH: u8 = 1;
const CELLS: u8 = 2;

impl Exact {
    /// Writes the index to `path`, whole or not at all, over any file there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, |out| self.write(out))
    }

    /// Reads what [`Exact::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for any other file, that of [`Cells`] too.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, read_exact)
    }

    /// Writes what [`Exact::save`] writes.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_rows(out, EXACT, &self.copies, (0..self.rows()).map(|row| self.live[row].then_some(row)))
    }

    /// Reads `length` bytes that [`Exact::write`] wrote. Errors name `path`. Memory is bounded by `length`.
    pub(crate) fn read(input: impl Read, length: u64, path: &Path) -> Result<Self> {
        read(input, length, path, read_exact)
    }

    /// Where [`Exact::write`] puts each row.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            storage: code(self.storage()),
            dim: self.dim() as u64,
            rows: self.rows() as u64,
            cells: false,
            slots: 0,
        }
    }
}

impl Cells {
    /// Writes the rows and their cells to `path`, whole or not at all, over any file there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, |out| self.write(out))
    }

    /// Reads what [`Cells::save`] wrote. Rows that were at the end are put into their cells.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for any other file.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, read_cells)
    }

    /// Writes what [`Cells::save`] writes.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let rows = 0..self.rows();
        write_rows(out, CELLS, self.copies(), rows.clone().map(|row| self.place(row)))?;
        write_numbers(out, rows.map(|row| self.cell(row)), |x| x.to_le_bytes())?;
        out.write_all(&self.options().read.to_le_bytes())?;
        out.write_all(&(self.cells() as u64).to_le_bytes())
    }

    /// Reads `length` bytes that [`Cells::write`] wrote. Errors name `path`. Memory is bounded by `length`.
    pub(crate) fn read(input: impl Read, length: u64, path: &Path) -> Result<Self> {
        read(input, length, path, read_cells)
    }

    /// Where [`Cells::write`] puts each row.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            storage: code(self.storage()),
            dim: self.dim() as u64,
            rows: self.rows() as u64,
            cells: true,
            slots: 0,
        }
    }
}

fn code(storage: Storage) -> u8 {
    STORAGES.iter().find(|known| known.1 == storage).map_or(u8::MAX, |known| known.0)
}

fn storage(code: u8) -> Option<Storage> {
    STORAGES.iter().find(|known| known.0 == code).map(|known| known.1)
}

/// Where the bytes of each row of an index are in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The code of its storage in [`STORAGES`].
    storage: u8,
    dim: u64,
    rows: u64,
    /// Whether it is that of [`Cells`].
    #[serde(default)]
    cells: bool,
    /// Links of a row, in the graphs of earlier versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    slots: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Layout {
    /// Whether it is that of [`Cells`].
    pub(crate) fn has_cells(&self) -> bool {
        self.cells
    }

    /// Whether only earlier versions can read it.
    pub(crate) fn is_outdated(&self) -> bool {
        self.slots > 0
    }

    /// Everything that the file holds of `row`: zeros over these bytes take it out. `None` when there is no such row,
    /// or no such layout.
    pub(crate) fn of_row(&self, row: u64) -> Option<Vec<Range<u64>>> {
        if row >= self.rows {
            return None;
        }
        let [f32s, f16s, int8s] = [4, 2, 1].map(|bytes| self.dim.checked_mul(bytes));
        let (scale, flag) = (Some(4), Some(1));
        // Bytes of a row in each column; one column lies after the other.
        let vectors = match storage(self.storage)? {
            Storage::F32 | Storage::Int4F32 => vec![f32s],
            Storage::F16 | Storage::Int4F16 => vec![f16s],
            Storage::Int8 | Storage::Int4Int8 => vec![int8s, scale],
        };
        let cell = self.cells.then_some(Some(4));
        let mut end = HEAD;
        [flag]
            .into_iter()
            .chain(vectors)
            .chain(cell)
            .map(|bytes| {
                let (start, bytes) = (end, bytes?);
                let place = start.checked_add(row.checked_mul(bytes)?)?;
                end = start.checked_add(self.rows.checked_mul(bytes)?)?;
                Some(place..place.checked_add(bytes)?)
            })
            .collect()
    }
}

/// Why a file could not be read.
enum Fault {
    Io(io::Error),
    Format(String),
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::UnexpectedEof { CUT_SHORT.into() } else { Self::Io(e) }
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Format(reason.into())
    }
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Self::Format(e.to_string())
    }
}

fn save(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    whole_file::replace(path, |unfinished| {
        let written = File::create(unfinished).and_then(|file| {
            let mut out = BufWriter::with_capacity(1 << 20, file);
            write(&mut out)?;
            out.into_inner()?.sync_all()
        });
        written.map_err(|e| Error::io(path, e))
    })
}

fn open<T>(path: &Path, parse: impl FnOnce(&mut Take<BufReader<File>>) -> Result<T, Fault>) -> Result<T> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    read(BufReader::with_capacity(1 << 20, file), length, path, parse)
}

fn read<R: Read, T>(
    input: R,
    length: u64,
    path: &Path,
    parse: impl FnOnce(&mut Take<R>) -> Result<T, Fault>,
) -> Result<T> {
    let mut input = input.take(length);
    let value = parse(&mut input).and_then(|value| match input.limit() {
        0 => Ok(value),
        _ => Err("an index with something after its end".into()),
    });
    value.map_err(|fault| match fault {
        Fault::Io(e) => match e.downcast::<Error>() {
            Ok(own) => own,
            Err(e) => Error::io(path, e),
        },
        Fault::Format(reason) => Error::format(path, reason),
    })
}

/// The head, and rows in the order of their numbers; each at its place, or zeros if it has none.
fn write_rows(
    out: &mut impl Write,
    kind: u8,
    copies: &Copies,
    places: impl ExactSizeIterator<Item = Option<usize>> + Clone,
) -> io::Result<()> {
    out.write_all(MAGIC)?;
    out.write_all(&[code(copies.storage), kind])?;
    for count in [copies.dim(), places.len()] {
        out.write_all(&(count as u64).to_le_bytes())?;
    }
    write_numbers(out, places.clone(), |place| [u8::from(place.is_some())])?;
    for copy in copies.each() {
        write_columns(out, copy, places.clone())?;
    }
    Ok(())
}

fn write_columns(
    out: &mut impl Write,
    Vectors { dim, numbers, .. }: &Vectors,
    places: impl Iterator<Item = Option<usize>> + Clone,
) -> io::Result<()> {
    match numbers {
        Numbers::F32(v) => write_column(out, v, *dim, places, |x| x.to_le_bytes()),
        Numbers::F16(v) => write_column(out, v, *dim, places, |x| x.to_le_bytes()),
        Numbers::Int8 { bytes, scales } => {
            write_column(out, bytes, *dim, places.clone(), |x| x.to_le_bytes())?;
            write_column(out, scales, 1, places, |x| x.to_le_bytes())
        }
        // Made anew of the other copy when read.
        Numbers::Int4(_) => Ok(()),
    }
}

fn write_column<T: Copy + Default, const N: usize>(
    out: &mut impl Write,
    numbers: &[T],
    width: usize,
    places: impl Iterator<Item = Option<usize>>,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let none = vec![T::default(); width];
    let row = |place: Option<usize>| place.map_or(&none[..], |place| &numbers[place * width..(place + 1) * width]);
    write_numbers(out, places.flat_map(row).copied(), bytes)
}

fn write_numbers<T, const N: usize>(
    out: &mut impl Write,
    numbers: impl Iterator<Item = T>,
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(N * CHUNK);
    for number in numbers {
        buffer.extend(bytes(number));
        if buffer.len() == N * CHUNK {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)
}

fn read_exact(input: &mut Take<impl Read>) -> Result<Exact, Fault> {
    read_rows(input, EXACT)
}

fn read_rows(input: &mut Take<impl Read>, expected: u8) -> Result<Exact, Fault> {
    let mut head = [0; 18];
    input.read_exact(&mut head)?;
    let [magic @ .., storage, kind] = head;
    if magic != *MAGIC || kind > CELLS {
        return Err("not a search index of this version".into());
    }
    if kind != expected {
        return Err(match kind {
            GRAPH => "a graph, which only earlier versions can read",
            CELLS => "an index in cells: not exact search's",
            _ => "an index without cells",
        }
        .into());
    }
    let storage = self::storage(storage).ok_or("a storage that this version does not know")?;
    let (dim, rows) = (read_count(input)?, read_count(input)?);
    let numbers = dim.checked_mul(rows).ok_or(TOO_MANY)?;
    let live = read_numbers(input, rows, |[x]: [u8; 1]| x)?;
    if live.iter().any(|&live| live > 1) {
        return Err("a row that is neither taken nor free".into());
    }
    let live = live.into_iter().map(|live| live == 1).collect();

    let f32s = |input: &mut Take<_>| {
        let v = read_numbers(input, numbers, f32::from_le_bytes)?;
        if v.iter().all(|x| x.is_finite()) { Ok(Numbers::F32(v)) } else { Err(Fault::from(NOT_FINITE)) }
    };
    let f16s = |input: &mut Take<_>| {
        let v = read_numbers(input, numbers, f16::from_le_bytes)?;
        if v.iter().all(|x| x.is_finite()) { Ok(Numbers::F16(v)) } else { Err(Fault::from(NOT_FINITE)) }
    };
    let best = match storage {
        Storage::F32 | Storage::Int4F32 => f32s(input)?,
        Storage::F16 | Storage::Int4F16 => f16s(input)?,
        Storage::Int8 | Storage::Int4Int8 => read_int8(input, dim, rows)?,
    };
    Ok(Exact::from_parts(Copies::from_best(dim, storage, best)?, live))
}

fn read_int8(input: &mut Take<impl Read>, dim: usize, rows: usize) -> Result<Numbers, Fault> {
    let numbers = dim.checked_mul(rows).ok_or(TOO_MANY)?;
    let bytes = read_numbers(input, numbers, i8::from_le_bytes)?;
    let scales = read_numbers(input, rows, f32::from_le_bytes)?;
    if scales.iter().all(|x| x.is_finite()) { Ok(Numbers::Int8 { bytes, scales }) } else { Err(NOT_FINITE.into()) }
}

const CUT_SHORT: &str = "an index cut short";
const NOT_FINITE: &str = "a number that is not finite";
const TOO_MANY: &str = "more numbers than memory could hold";

fn read_cells(input: &mut Take<impl Read>) -> Result<Cells, Fault> {
    let exact = read_rows(input, CELLS)?;
    let cells = read_numbers(input, exact.rows(), u32::from_le_bytes)?;
    let mut read = [0; 4];
    input.read_exact(&mut read)?;
    let options = CellsOptions { read: f32::from_le_bytes(read) };
    let count = read_count(input)?;
    Ok(Cells::from_parts(exact, options, count, &cells)?)
}

fn read_count(input: &mut impl Read) -> Result<usize, Fault> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| "a count beyond this machine's memory".into())
}

fn read_numbers<T, const N: usize>(
    input: &mut Take<impl Read>,
    count: usize,
    number: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Fault> {
    // Nothing is allocated for what is not there.
    if (count as u64).checked_mul(N as u64).is_none_or(|bytes| bytes > input.limit()) {
        return Err(CUT_SHORT.into());
    }
    let mut numbers = Vec::with_capacity(count);
    let mut buffer = vec![0; N * CHUNK.min(count)];
    while numbers.len() < count {
        let chunk = &mut buffer[..N * (count - numbers.len()).min(CHUNK)];
        input.read_exact(chunk)?;
        numbers.extend(chunk.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{faces, slices},
        *,
    };

    fn exact(storage: Storage) -> Exact {
        let mut index = Exact::new(12, storage).unwrap();
        index.add(&slices(&faces(1, 700, 1, 12))).unwrap();
        index.remove(&[3, 5]).unwrap();
        index
    }

    #[test]
    fn an_index_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index");
        let probes = faces(2, 20, 1, 12);
        for (_, storage) in STORAGES {
            let before = exact(storage);
            before.save(&file).unwrap();
            let mut after = Exact::open(&file).unwrap();
            assert_eq!(after.storage(), storage);
            assert_eq!(before.nearest(&slices(&probes), 9).unwrap(), after.nearest(&slices(&probes), 9).unwrap());
            assert_eq!(after.add(&slices(&probes[..3])).unwrap(), [3, 5, 700]);
            assert!(matches!(Cells::open(&file), Err(Error::Format { .. })));

            let before = Cells::build(before, CellsOptions { read: 0.25 }).unwrap();
            before.save(&file).unwrap();
            let mut after = Cells::open(&file).unwrap();
            assert_eq!((after.options(), after.cells()), (before.options(), before.cells()));
            assert_eq!(before.nearest(&slices(&probes), 9).unwrap(), after.nearest(&slices(&probes), 9).unwrap());
            assert_eq!(after.add(&slices(&probes[..3])).unwrap(), [3, 5, 700]);
            assert!(matches!(Exact::open(&file), Err(Error::Format { .. })));
        }
        assert!(matches!(Exact::open(&folder.path().join("none")), Err(Error::Io { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn rows_added_late_are_in_their_cells_when_read_again() {
        let mut cells = Cells::build(exact(Storage::Int4Int8), CellsOptions::default()).unwrap();
        let late = faces(6, 100, 1, 12);
        let rows = cells.add(&slices(&late)).unwrap();
        let mut bytes = Vec::new();
        cells.write(&mut bytes).unwrap();
        let mut read = Cells::read(&*bytes, bytes.len() as u64, "index".as_ref()).unwrap();
        let mut again = Vec::new();
        read.write(&mut again).unwrap();
        assert_eq!(bytes.len(), again.len());
        for (row, vector) in rows.into_iter().zip(&late) {
            assert_eq!(read.nearest(&[vector], 1).unwrap()[0][0].row, row);
        }
        for index in [&mut cells, &mut read] {
            index.set_read(1.0).unwrap();
        }
        assert_eq!(cells.nearest(&slices(&late), 9).unwrap(), read.nearest(&slices(&late), 9).unwrap());
    }

    #[test]
    fn a_row_wiped_by_its_layout_is_as_if_removed() {
        for (_, storage) in STORAGES {
            let mut exact = exact(storage);
            let mut cells = Cells::build(exact.clone(), CellsOptions::default()).unwrap();
            let [mut rows, mut grouped] = [Vec::new(), Vec::new()];
            exact.write(&mut rows).unwrap();
            cells.write(&mut grouped).unwrap();
            for (bytes, layout, rest) in [(&mut rows, exact.layout(), 0), (&mut grouped, cells.layout(), 4 + 8)] {
                let wiped: u64 = [0u64, 698, 699]
                    .iter()
                    .flat_map(|&row| layout.of_row(row).unwrap())
                    .map(|extent| {
                        bytes[extent.start as usize..extent.end as usize].fill(0);
                        extent.end - extent.start
                    })
                    .sum();
                assert_eq!(3 * (bytes.len() as u64 - HEAD - rest), 700 * wiped, "every column");
                assert_eq!(layout.of_row(700), None);
            }
            exact.remove(&[0, 698, 699]).unwrap();
            cells.remove(&[0, 698, 699]).unwrap();
            let [mut fewer_rows, mut fewer_grouped] = [Vec::new(), Vec::new()];
            exact.write(&mut fewer_rows).unwrap();
            cells.write(&mut fewer_grouped).unwrap();
            assert!(rows == fewer_rows && grouped == fewer_grouped, "{storage:?}");
            assert!(Exact::read(&*rows, rows.len() as u64, "index".as_ref()).is_ok());
            let read = Cells::read(&*grouped, grouped.len() as u64, "index".as_ref()).unwrap();
            let probes = faces(5, 20, 1, 12);
            assert_eq!(read.nearest(&slices(&probes), 5).unwrap(), cells.nearest(&slices(&probes), 5).unwrap());
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index");
        let cells = Cells::build(exact(Storage::Int4Int8), CellsOptions::default()).unwrap();
        cells.save(&file).unwrap();
        let sound = std::fs::read(&file).unwrap();
        let mut random = fastrand::Rng::with_seed(3);
        let probe = faces(4, 1, 1, 12).remove(0);
        for length in (0..200).chain((0..100).map(|_| random.usize(..sound.len()))) {
            std::fs::write(&file, &sound[..length]).unwrap();
            assert!(matches!(Cells::open(&file), Err(Error::Format { .. })), "cut at {length}");
        }
        let mut longer = sound.clone();
        longer.push(0);
        std::fs::write(&file, longer).unwrap();
        assert!(matches!(Cells::open(&file), Err(Error::Format { .. })));
        for round in 0..2000 {
            let mut bytes = sound.clone();
            // Half of the damage in the first bytes, where the counts are.
            let place = if round % 2 == 0 { random.usize(..40) } else { random.usize(..bytes.len()) };
            bytes[place] ^= 1 << random.u8(..8);
            std::fs::write(&file, bytes).unwrap();
            if let Ok(mut cells) = Cells::open(&file) {
                cells.nearest(&[&probe], 3).unwrap();
                cells.add(&[&probe]).unwrap();
            }
        }
    }
}
