//! Tables of embeddings in Parquet, which pandas, polars, DuckDB and Spark read as they are.
//!
//! One row a face: `path`, `person` (nullable), `sha256` of the photo's bytes, `face` (its number in the photo),
//! `left`, `top`, `right`, `bottom` and `score` of the detection, `landmarks` (x0, y0, x1, y1, …), `model`, and
//! `embedding` (unit length). What made the table stands in the file's metadata under `bledsoe`, as JSON: see
//! [`Origin`].

use std::{fs::File, io::Write, path::Path, sync::Arc};

use parquet::{
    basic::{Compression, Encoding},
    column::reader::get_typed_column_reader,
    data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, RowGroupReader, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    dataset::Skipped,
    detect::Detection,
    geometry::{Point, Rect},
    landmark::{Landmarks, Scheme},
    whole_file,
};

const SCHEMA: &str = "message faces {
    required binary path (UTF8);
    optional binary person (UTF8);
    required binary sha256 (UTF8);
    required int32 face;
    required float left;
    required float top;
    required float right;
    required float bottom;
    required float score;
    required group landmarks (LIST) { repeated group list { required float element; } }
    required binary model (UTF8);
    required group embedding (LIST) { repeated group list { required float element; } }
}";
const COLUMNS: usize = 12;
const METADATA_KEY: &str = "bledsoe";
/// Rows of a group.
const GROUP: usize = 256;

/// One embedded face.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceRow {
    /// The photo, relative to the folder that was embedded, with `/` between folders.
    pub path: String,
    /// Who it is, where the folder tells.
    pub person: Option<String>,
    /// SHA-256 of the photo file, in hex.
    pub sha256: String,
    /// 0 for the first face of its photo.
    pub face: u32,
    /// Where the face is; an aligned chip is its own box.
    pub detection: Detection,
    /// The landmarks that it was aligned by.
    pub landmarks: Landmarks,
    /// The embedding, unit length.
    #[serde(skip)]
    pub vector: Vec<f32>,
}

/// What made a table: the embedder, every setting, and the photos that gave no row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of bledsoe.
    pub version: String,
    /// The embedder's id.
    pub model: String,
    /// Length of an embedding.
    pub dim: usize,
    /// The landmarks' scheme is the same in all rows.
    pub scheme: Scheme,
    /// All settings that decide the embeddings.
    pub settings: serde_json::Value,
    /// Photos without a row, and why.
    pub skipped: Vec<Skipped>,
}

/// Writes a table group by group; memory holds one group.
pub struct TableWriter<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    path: std::path::PathBuf,
    model: String,
    dim: usize,
}

impl<W: Write + Send> TableWriter<W> {
    /// A table of embeddings of `dim` numbers by `model`; `path` is for error messages.
    ///
    /// # Errors
    /// [`Error::Format`] when the header cannot be written.
    pub fn new(output: W, path: &Path, model: &str, dim: usize) -> Result<Self> {
        let schema = parse_message_type(SCHEMA).map_err(|e| Error::format(path, e.to_string()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_created_by(concat!("bledsoe ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(output, Arc::new(schema), Arc::new(properties))
            .map_err(|e| Error::format(path, e.to_string()))?;
        Ok(Self { writer, path: path.to_owned(), model: model.to_owned(), dim })
    }

    /// Appends rows as one row group.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for an embedding of another length, [`Error::Format`] when writing fails.
    pub fn write(&mut self, rows: &[FaceRow]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        if let Some(row) = rows.iter().find(|r| r.vector.len() != self.dim) {
            return Err(Error::Mismatch(format!(
                "{}: an embedding of {} numbers in a table of {}",
                row.path,
                row.vector.len(),
                self.dim
            )));
        }
        let model = self.model.clone();
        let write = || -> parquet::errors::Result<()> {
            let mut group = self.writer.next_row_group()?;
            text(&mut group, rows.iter().map(|r| Some(r.path.as_str())), false)?;
            text(&mut group, rows.iter().map(|r| r.person.as_deref()), true)?;
            text(&mut group, rows.iter().map(|r| Some(r.sha256.as_str())), false)?;
            let faces: Vec<i32> = rows.iter().map(|r| r.face as i32).collect();
            column::<Int32Type, _>(&mut group, &faces, None, None)?;
            for edge in [|r: &Rect| r.left, |r: &Rect| r.top, |r: &Rect| r.right, |r: &Rect| r.bottom] {
                let edges: Vec<f32> = rows.iter().map(|r| edge(&r.detection.rect)).collect();
                column::<FloatType, _>(&mut group, &edges, None, None)?;
            }
            let scores: Vec<f32> = rows.iter().map(|r| r.detection.score).collect();
            column::<FloatType, _>(&mut group, &scores, None, None)?;
            let points = rows.iter().map(|r| r.landmarks.points.iter().flat_map(|p| [p.x, p.y]).collect());
            lists(&mut group, points)?;
            text(&mut group, rows.iter().map(|_| Some(model.as_str())), false)?;
            lists(&mut group, rows.iter().map(|r| r.vector.clone()))?;
            group.close()?;
            Ok(())
        };
        let mut write = write;
        write().map_err(|e| Error::format(&self.path, e.to_string()))
    }

    /// Writes the origin and the footer, and gives the output back.
    ///
    /// # Errors
    /// [`Error::Format`] when writing fails.
    pub fn finish(mut self, origin: &Origin) -> Result<W> {
        let fail = |e: String| Error::format(&self.path, e);
        let json = serde_json::to_string(origin).map_err(|e| fail(e.to_string()))?;
        self.writer.append_key_value_metadata(KeyValue::new(METADATA_KEY.to_owned(), json));
        self.writer.into_inner().map_err(|e| fail(e.to_string()))
    }
}

fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> parquet::errors::Result<()> {
    if let Some(mut writer) = group.next_column()? {
        writer.typed::<T>().write_batch(values, definition, repetition)?;
        writer.close()?;
    }
    Ok(())
}

fn text<'a, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<&'a str>>,
    nullable: bool,
) -> parquet::errors::Result<()> {
    let values: Vec<Option<&str>> = values.collect();
    let definition: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let present: Vec<ByteArray> = values.into_iter().flatten().map(ByteArray::from).collect();
    column::<ByteArrayType, _>(group, &present, nullable.then_some(&definition), None)
}

fn lists<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: impl Iterator<Item = Vec<f32>>,
) -> parquet::errors::Result<()> {
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        // An empty list still takes one entry in the levels.
        definition.extend(std::iter::repeat_n(i16::from(!row.is_empty()), row.len().max(1)));
        repetition.extend((0..row.len().max(1)).map(|i| i16::from(i > 0)));
        values.extend(row);
    }
    column::<FloatType, _>(group, &values, Some(&definition), Some(&repetition))
}

/// Writes a whole table to `path`, or nothing.
///
/// # Errors
/// [`Error::Io`] when the disk fails, and as [`TableWriter`].
pub fn write(path: &Path, origin: &Origin, rows: &[FaceRow]) -> Result<()> {
    whole_file::replace(path, |unfinished| {
        let file = File::create(unfinished).map_err(|e| Error::io(path, e))?;
        let mut writer = TableWriter::new(file, path, &origin.model, origin.dim)?;
        rows.chunks(GROUP).try_for_each(|rows| writer.write(rows))?;
        writer.finish(origin)?.sync_all().map_err(|e| Error::io(path, e))
    })
}

/// Reads what made a table, without its rows.
///
/// # Errors
/// As [`read`].
pub fn origin(path: &Path) -> Result<Origin> {
    open(path).map(|(_, origin)| origin)
}

/// Reads a whole table.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::Format`] when it is not a table that bledsoe wrote.
pub fn read(path: &Path) -> Result<(Origin, Vec<FaceRow>)> {
    let fail = |e: String| Error::format(path, e);
    let (reader, origin) = open(path)?;
    let mut rows = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|e| fail(e.to_string()))?;
        read_group(group.as_ref(), &origin, &mut rows).map_err(|e| fail(e.to_string()))?;
    }
    if let Some(row) = rows.iter().find(|r| r.vector.len() != origin.dim) {
        return Err(fail(format!("the embedding of {} is not {} numbers long", row.path, origin.dim)));
    }
    Ok((origin, rows))
}

fn open(path: &Path) -> Result<(SerializedFileReader<File>, Origin)> {
    let fail = |e: String| Error::format(path, e);
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let reader =
        SerializedFileReader::new(file).map_err(|e| fail(format!("not a Parquet table of embeddings: {e}")))?;
    let metadata = reader.metadata().file_metadata();
    let json = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|p| p.key == METADATA_KEY))
        .and_then(|p| p.value.as_deref())
        .ok_or_else(|| fail("a Parquet file, but not one that `bledsoe embed` wrote".into()))?;
    let origin: Origin = serde_json::from_str(json).map_err(|e| fail(format!("its metadata is damaged: {e}")))?;
    if metadata.schema_descr().num_columns() != COLUMNS {
        return Err(fail(format!("{} columns instead of {COLUMNS}", metadata.schema_descr().num_columns())));
    }
    Ok((reader, origin))
}

fn read_group(group: &dyn RowGroupReader, origin: &Origin, rows: &mut Vec<FaceRow>) -> parquet::errors::Result<()> {
    let n = group.metadata().num_rows().max(0) as usize;
    let paths = read_text(group, 0, n)?;
    let people = read_text(group, 1, n)?;
    let hashes = read_text(group, 2, n)?;
    let (faces, ..) = read_column::<Int32Type>(group, 3, n)?;
    let mut edges = Vec::with_capacity(5);
    for column in 4..9 {
        edges.push(read_column::<FloatType>(group, column, n)?.0);
    }
    let points = read_lists(group, 9, n)?;
    let vectors = read_lists(group, 11, n)?;
    let lengths = [paths.len(), people.len(), hashes.len(), faces.len(), points.len(), vectors.len()];
    if lengths.iter().chain(edges.iter().map(Vec::len).collect::<Vec<_>>().iter()).any(|&l| l != n) {
        return Err(parquet::errors::ParquetError::General("columns of unequal length".into()));
    }
    for (i, (points, vector)) in points.into_iter().zip(vectors).enumerate() {
        rows.push(FaceRow {
            path: paths[i].clone().unwrap_or_default(),
            person: people[i].clone(),
            sha256: hashes[i].clone().unwrap_or_default(),
            face: faces[i].max(0) as u32,
            detection: Detection {
                rect: Rect { left: edges[0][i], top: edges[1][i], right: edges[2][i], bottom: edges[3][i] },
                score: edges[4][i],
                points: None,
            },
            landmarks: Landmarks {
                scheme: origin.scheme,
                points: points.chunks_exact(2).map(|p| Point::new(p[0], p[1])).collect(),
            },
            vector,
        });
    }
    Ok(())
}

type Levels = Vec<i16>;

fn read_column<T: DataType>(
    group: &dyn RowGroupReader,
    column: usize,
    records: usize,
) -> parquet::errors::Result<(Vec<T::T>, Levels, Levels)> {
    let mut reader = get_typed_column_reader::<T>(group.get_column_reader(column)?);
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let mut read = 0;
    while read < records {
        let (got, ..) =
            reader.read_records(records - read, Some(&mut definition), Some(&mut repetition), &mut values)?;
        if got == 0 {
            break;
        }
        read += got;
    }
    Ok((values, definition, repetition))
}

fn read_text(
    group: &dyn RowGroupReader,
    column: usize,
    records: usize,
) -> parquet::errors::Result<Vec<Option<String>>> {
    let (values, definition, _) = read_column::<ByteArrayType>(group, column, records)?;
    let mut values = values.iter().map(|v| String::from_utf8_lossy(v.data()).into_owned());
    if definition.is_empty() {
        return Ok(values.map(Some).collect());
    }
    Ok(definition.iter().map(|&d| if d > 0 { values.next() } else { None }).collect())
}

fn read_lists(group: &dyn RowGroupReader, column: usize, records: usize) -> parquet::errors::Result<Vec<Vec<f32>>> {
    let (values, definition, repetition) = read_column::<FloatType>(group, column, records)?;
    let mut values = values.into_iter();
    let mut lists: Vec<Vec<f32>> = Vec::with_capacity(records);
    for (&d, &r) in definition.iter().zip(&repetition) {
        if r == 0 {
            lists.push(Vec::new());
        }
        if d > 0
            && let (Some(list), Some(value)) = (lists.last_mut(), values.next())
        {
            list.push(value);
        }
    }
    Ok(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, person: Option<&str>, vector: Vec<f32>) -> FaceRow {
        FaceRow {
            path: path.into(),
            person: person.map(Into::into),
            sha256: "ab".repeat(32),
            face: 1,
            detection: Detection {
                rect: Rect { left: -1.5, top: 2.0, right: 30.0, bottom: 40.25 },
                score: 0.75,
                points: None,
            },
            landmarks: Landmarks { scheme: Scheme::Dlib5, points: (0..5).map(|i| Point::new(i as f32, 0.5)).collect() },
            vector,
        }
    }

    fn origin(skipped: Vec<Skipped>) -> Origin {
        Origin {
            version: "0".into(),
            model: "m".into(),
            dim: 2,
            scheme: Scheme::Dlib5,
            settings: serde_json::json!({"a": 1}),
            skipped,
        }
    }

    #[test]
    fn a_table_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faces.parquet");
        let first = vec![row("a/1.jpg", Some("a"), vec![0.6, 0.8]), row("2.jpg", None, vec![1.0, 0.0])];
        let second = vec![row("b/ü 3.jpg", Some("b"), vec![0.0, -1.0])];
        let mut writer = TableWriter::new(File::create(&path).unwrap(), &path, "m", 2).unwrap();
        writer.write(&first).unwrap();
        writer.write(&[]).unwrap();
        writer.write(&second).unwrap();
        writer.finish(&origin(vec![])).unwrap();
        let (read_origin, rows) = read(&path).unwrap();
        assert_eq!(read_origin, origin(vec![]));
        assert_eq!(rows, [first, second].concat());
    }

    #[test]
    fn a_foreign_or_truncated_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("faces.parquet");
        let mut writer = TableWriter::new(File::create(&path).unwrap(), &path, "m", 2).unwrap();
        writer.write(&[row("a", None, vec![1.0, 0.0])]).unwrap();
        assert!(writer.write(&[row("a", None, vec![1.0])]).is_err());
        writer.finish(&origin(vec![])).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read(&path).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
