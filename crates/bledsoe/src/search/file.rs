//! Indices on disk. All numbers are little-endian, without padding:
//!
//! ```text
//! "bledsoe search 1"   16 bytes
//! storage, graph       2 bytes: the place in `STORAGES`; 1 if links follow
//! dim, rows            2 x u64
//! live                 rows x u8: 1 where a row holds a vector
//! scanned, kept        per copy: rows x dim numbers; of int8, then rows x f32 scales; of int4, nothing
//! degree, build_beam, beam, starts     4 x u64, if links follow, and:
//! starts               starts x u32
//! taken                rows x u8
//! targets              rows x (degree + degree / 2) x u32
//! ```
//!
//! [`Layout`] tells where the bytes of one row are, so that a row can be wiped without reading the others: links of
//! other rows to one without a vector are left out when the index is read.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Take, Write},
    ops::Range,
    path::Path,
};

use half::f16;
use serde::{Deserialize, Serialize};

use super::{
    Exact, Graph, GraphOptions, Index, Storage,
    copies::Copies,
    graph::Links,
    vectors::{Numbers, Vectors},
};
use crate::{Error, Result, whole_file};

const MAGIC: &[u8; 16] = b"bledsoe search 1";
const STORAGES: [Storage; 6] =
    [Storage::F32, Storage::F16, Storage::Int8, Storage::Int8F16, Storage::Int8F32, Storage::Int4Int8];
/// Numbers converted at a time.
const CHUNK: usize = 1 << 18;
/// Bytes before the first row.
const HEAD: u64 = 34;
/// Bytes between the vectors and the starts.
const GRAPH_HEAD: u64 = 32;

impl Exact {
    /// Writes the index to `path`, whole or not at all, over any file there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, |out| write_exact(out, self, false))
    }

    /// Reads what [`Exact::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for any other file, a graph's too.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, read_unlinked)
    }

    /// Writes what [`Exact::save`] writes.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_exact(out, self, false)
    }

    /// Reads `length` bytes that [`Exact::write`] wrote. Errors name `path`. Memory is bounded by `length`.
    pub(crate) fn read(input: impl Read, length: u64, path: &Path) -> Result<Self> {
        read(input, length, path, read_unlinked)
    }

    /// Where [`Exact::write`] puts each row.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            storage: STORAGES.iter().position(|&storage| storage == self.storage()).unwrap_or_default(),
            dim: self.dim() as u64,
            rows: self.rows() as u64,
            starts: 0,
            slots: 0,
        }
    }
}

impl Graph {
    /// Writes the rows and their links to `path`, whole or not at all, over any file there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        save(path, |out| self.write(out))
    }

    /// Reads what [`Graph::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for any other file.
    pub fn open(path: &Path) -> Result<Self> {
        open(path, read_graph)
    }

    /// Writes what [`Graph::save`] writes.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        write_exact(out, &self.exact, true)?;
        let options = self.options;
        for count in [options.degree, options.build_beam, options.beam, self.starts.len()] {
            out.write_all(&(count as u64).to_le_bytes())?;
        }
        write_numbers(out, &self.starts, |x| x.to_le_bytes())?;
        out.write_all(&self.links.taken)?;
        write_numbers(out, &self.links.targets, |x| x.to_le_bytes())
    }

    /// Reads `length` bytes that [`Graph::write`] wrote. Errors name `path`. Memory is bounded by `length`.
    pub(crate) fn read(input: impl Read, length: u64, path: &Path) -> Result<Self> {
        read(input, length, path, read_graph)
    }

    /// Where [`Graph::write`] puts each row.
    pub(crate) fn layout(&self) -> Layout {
        Layout { starts: self.starts.len() as u64, slots: self.links.slots as u64, ..self.exact.layout() }
    }
}

/// Where the bytes of each row of an index are in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The place of its storage in [`STORAGES`].
    storage: usize,
    dim: u64,
    rows: u64,
    starts: u64,
    /// Links that a row has room for: none in an [`Exact`].
    slots: u64,
}

impl Layout {
    /// Whether it is a [`Graph`]'s.
    pub(crate) fn is_linked(&self) -> bool {
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
        let vectors = match STORAGES.get(self.storage)? {
            Storage::F32 => vec![f32s],
            Storage::F16 => vec![f16s],
            Storage::Int8 | Storage::Int4Int8 => vec![int8s, scale],
            Storage::Int8F16 => vec![int8s, scale, f16s],
            Storage::Int8F32 => vec![int8s, scale, f32s],
        };
        let between = GRAPH_HEAD.checked_add(self.starts.checked_mul(4)?)?;
        let links = [(between, flag), (0, self.slots.checked_mul(4))];
        let links = links.into_iter().filter(|_| self.is_linked());
        let columns = [(HEAD, flag)].into_iter().chain(vectors.into_iter().map(|bytes| (0, bytes))).chain(links);
        let mut end = 0u64;
        columns
            .map(|(gap, bytes)| {
                let (start, bytes) = (end.checked_add(gap)?, bytes?);
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

fn write_exact(out: &mut impl Write, exact: &Exact, graph: bool) -> io::Result<()> {
    out.write_all(MAGIC)?;
    let storage = STORAGES.iter().position(|&storage| storage == exact.storage()).unwrap_or_default();
    out.write_all(&[storage as u8, graph.into()])?;
    for count in [exact.dim(), exact.rows()] {
        out.write_all(&(count as u64).to_le_bytes())?;
    }
    let live: Vec<u8> = exact.live.iter().map(|&live| live.into()).collect();
    out.write_all(&live)?;
    for Vectors { numbers, .. } in exact.copies.each() {
        match numbers {
            Numbers::F32(v) => write_numbers(out, v, |x| x.to_le_bytes())?,
            Numbers::F16(v) => write_numbers(out, v, |x| x.to_le_bytes())?,
            Numbers::Int8 { bytes, scales } => {
                write_numbers(out, bytes, |x| x.to_le_bytes())?;
                write_numbers(out, scales, |x| x.to_le_bytes())?;
            }
            // Made anew of the bytes when read.
            Numbers::Int4 { .. } => {}
        }
    }
    Ok(())
}

fn write_numbers<T: Copy, const N: usize>(
    out: &mut impl Write,
    numbers: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(N * CHUNK.min(numbers.len()));
    for chunk in numbers.chunks(CHUNK) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|&x| bytes(x)));
        out.write_all(&buffer)?;
    }
    Ok(())
}

/// The rows, and whether links follow.
fn read_exact(input: &mut Take<impl Read>) -> Result<(Exact, bool), Fault> {
    let mut head = [0; 18];
    input.read_exact(&mut head)?;
    let [magic @ .., storage, graph] = head;
    if magic != *MAGIC || graph > 1 {
        return Err("not a search index of this version".into());
    }
    let storage = *STORAGES.get(usize::from(storage)).ok_or("a storage that this version does not know")?;
    let (dim, rows) = (read_count(input)?, read_count(input)?);
    let numbers = dim.checked_mul(rows).ok_or("more numbers than memory could hold")?;
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
    let int8 = |input: &mut Take<_>| {
        let bytes = read_numbers(input, numbers, i8::from_le_bytes)?;
        let scales = read_numbers(input, rows, f32::from_le_bytes)?;
        if scales.iter().all(|x| x.is_finite()) {
            Ok(Numbers::Int8 { bytes, scales })
        } else {
            Err(Fault::from(NOT_FINITE))
        }
    };
    let (scanned, kept) = match storage {
        Storage::F32 => (f32s(input)?, None),
        Storage::F16 => (f16s(input)?, None),
        Storage::Int8 => (int8(input)?, None),
        Storage::Int8F16 => (int8(input)?, Some(f16s(input)?)),
        Storage::Int8F32 => (int8(input)?, Some(f32s(input)?)),
        Storage::Int4Int8 => {
            let kept = Vectors::new(dim, int8(input)?);
            let scanned = kept.halved().ok_or("bytes of which no half-bytes can be made")?;
            (scanned.numbers, Some(kept.numbers))
        }
    };
    Ok((Exact::from_parts(Copies::from_parts(dim, storage, scanned, kept)?, live), graph == 1))
}

fn read_unlinked(input: &mut Take<impl Read>) -> Result<Exact, Fault> {
    let (exact, graph) = read_exact(input)?;
    if graph { Err("an index with links: not exact search's".into()) } else { Ok(exact) }
}

const CUT_SHORT: &str = "an index cut short";
const NOT_FINITE: &str = "a number that is not finite";

fn read_graph(input: &mut Take<impl Read>) -> Result<Graph, Fault> {
    let (exact, graph) = read_exact(input)?;
    if !graph {
        return Err("an index without links".into());
    }
    let (degree, build_beam, beam) = (read_count(input)?, read_count(input)?, read_count(input)?);
    let options = GraphOptions { degree, build_beam, beam };
    options.check()?;
    let rows = exact.rows();
    let starts = read_count(input)?;
    let mut starts = read_numbers(input, starts, u32::from_le_bytes)?;
    let mut taken = read_numbers(input, rows, |[x]: [u8; 1]| x)?;
    let cells = rows.checked_mul(options.slots()).ok_or("more links than memory could hold")?;
    let mut targets = read_numbers(input, cells, u32::from_le_bytes)?;
    let nowhere = |&row: &u32| row as usize >= rows;
    if starts.iter().any(nowhere) || taken.iter().any(|&taken| usize::from(taken) > options.slots()) {
        return Err("a link to nowhere".into());
    }
    // Rows may have been wiped from the file since: see `Layout`.
    let holds = |row: u32| exact.live[row as usize];
    for (row, (taken, targets)) in taken.iter_mut().zip(targets.chunks_mut(options.slots())).enumerate() {
        let list = &mut targets[..usize::from(*taken)];
        if list.iter().any(nowhere) {
            return Err("a link to nowhere".into());
        }
        let mut kept = 0;
        for i in 0..if exact.live[row] { list.len() } else { 0 } {
            if holds(list[i]) {
                list[kept] = list[i];
                kept += 1;
            }
        }
        *taken = kept as u8;
    }
    starts.retain(|&row| holds(row));
    if starts.is_empty() {
        starts.extend(exact.live.iter().position(|&live| live).map(|row| row as u32));
    }
    let links = Links { slots: options.slots(), taken, targets };
    Ok(Graph { options, exact, links, starts })
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
        for storage in STORAGES {
            let before = exact(storage);
            before.save(&file).unwrap();
            let mut after = Exact::open(&file).unwrap();
            assert_eq!(after.storage(), storage);
            assert_eq!(before.nearest(&slices(&probes), 9).unwrap(), after.nearest(&slices(&probes), 9).unwrap());
            assert_eq!(after.add(&slices(&probes[..3])).unwrap(), [3, 5, 700]);
            assert!(matches!(Graph::open(&file), Err(Error::Format { .. })));

            let before = Graph::build(before, GraphOptions { beam: 20, ..Default::default() }).unwrap();
            before.save(&file).unwrap();
            let after = Graph::open(&file).unwrap();
            assert_eq!(after.options(), before.options());
            assert_eq!((&after.links.targets, &after.starts), (&before.links.targets, &before.starts));
            assert_eq!(before.nearest(&slices(&probes), 9).unwrap(), after.nearest(&slices(&probes), 9).unwrap());
            assert!(matches!(Exact::open(&file), Err(Error::Format { .. })));
        }
        assert!(matches!(Exact::open(&folder.path().join("none")), Err(Error::Io { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing unfinished is left");
    }

    #[test]
    fn a_row_wiped_by_its_layout_is_as_if_removed() {
        let vectors = faces(5, 700, 1, 12);
        for storage in STORAGES {
            let graph = Graph::build(exact(storage), GraphOptions { degree: 6, build_beam: 16, beam: 8 }).unwrap();
            let mut bytes = Vec::new();
            graph.write(&mut bytes).unwrap();
            let layout = graph.layout();
            let gone = [graph.starts[0] as usize, 0, 77, 699];
            for row in gone {
                let extents = layout.of_row(row as u64).unwrap();
                // Flags of life and of links taken, the links, and the numbers.
                let kept: u64 = extents.iter().map(|extent| extent.end - extent.start).sum();
                let numbers = match storage {
                    Storage::F32 => 4 * 12,
                    Storage::F16 => 2 * 12,
                    Storage::Int8 | Storage::Int4Int8 => 12 + 4,
                    Storage::Int8F16 => 3 * 12 + 4,
                    Storage::Int8F32 => 5 * 12 + 4,
                };
                assert_eq!(kept, 2 + 4 * 9 + numbers);
                for extent in extents {
                    bytes[extent.start as usize..extent.end as usize].fill(0);
                }
            }
            assert_eq!(layout.of_row(700), None);
            let wiped = Graph::read(&*bytes, bytes.len() as u64, "index".as_ref()).unwrap();
            let mut removed = graph.clone();
            removed.exact.remove(&gone).unwrap();
            assert_eq!(wiped.exact.live, removed.exact.live);
            for row in 0..700 {
                assert_eq!(wiped.exact.vector(row), removed.exact.vector(row), "{storage:?} {row}");
            }
            assert!((0..700).all(|row| wiped.links.of(row).iter().all(|&to| wiped.exact.live[to as usize])));
            assert!(wiped.links.of(77).is_empty());
            assert!(wiped.starts.iter().all(|&row| wiped.exact.live[row as usize]));
            assert_eq!(wiped.nearest(&slices(&vectors[..9]), 5).unwrap().len(), 9);
        }
    }

    #[test]
    fn a_row_of_exact_search_is_wiped_by_its_layout_too() {
        for storage in STORAGES {
            let mut index = exact(storage);
            let mut bytes = Vec::new();
            index.write(&mut bytes).unwrap();
            let layout = index.layout();
            let wiped: u64 = [0u64, 698, 699]
                .iter()
                .flat_map(|&row| layout.of_row(row).unwrap())
                .map(|extent| {
                    bytes[extent.start as usize..extent.end as usize].fill(0);
                    extent.end - extent.start
                })
                .sum();
            assert_eq!(3 * (bytes.len() as u64 - HEAD), 700 * wiped, "every column but the head");
            index.remove(&[0, 698, 699]).unwrap();
            let mut removed = Vec::new();
            index.write(&mut removed).unwrap();
            assert_eq!(bytes, removed);
            assert!(Exact::read(&*bytes, bytes.len() as u64, "index".as_ref()).is_ok());
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index");
        let graph = Graph::build(exact(Storage::Int8F16), GraphOptions { degree: 4, build_beam: 8, beam: 8 }).unwrap();
        graph.save(&file).unwrap();
        let sound = std::fs::read(&file).unwrap();
        let mut random = fastrand::Rng::with_seed(3);
        let probe = faces(4, 1, 1, 12).remove(0);
        for length in (0..200).chain((0..100).map(|_| random.usize(..sound.len()))) {
            std::fs::write(&file, &sound[..length]).unwrap();
            assert!(matches!(Graph::open(&file), Err(Error::Format { .. })), "cut at {length}");
        }
        let mut longer = sound.clone();
        longer.push(0);
        std::fs::write(&file, longer).unwrap();
        assert!(matches!(Graph::open(&file), Err(Error::Format { .. })));
        for round in 0..2000 {
            let mut bytes = sound.clone();
            // Half of the damage in the first bytes, where the counts are.
            let place = if round % 2 == 0 { random.usize(..40) } else { random.usize(..bytes.len()) };
            bytes[place] ^= 1 << random.u8(..8);
            std::fs::write(&file, bytes).unwrap();
            if let Ok(mut graph) = Graph::open(&file) {
                graph.nearest(&[&probe], 3).unwrap();
                graph.add(&[&probe]).unwrap();
            }
        }
    }
}
