//! ONNX files: writing the protobuf messages that a network needs, in the order given, and reading their metadata.
//!
//! Field numbers are those of `onnx.proto`, the public schema.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// Writes one protobuf message.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty message, with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends fields already encoded.
    pub fn raw(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    /// An integer field.
    pub fn int(&mut self, field: u32, value: i64) {
        self.varint(u64::from(field) << 3);
        self.varint(value as u64);
    }

    /// A float field.
    pub fn float(&mut self, field: u32, value: f32) {
        self.varint(u64::from(field) << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
    }

    /// A field of bytes, a string or a message.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// The encoded message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

/// Appends an f32 initializer to a GraphProto.
pub fn initializer(graph: &mut Writer, name: &str, shape: &[usize], values: &[f32]) {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(graph, name, 1, shape, &raw); // FLOAT
}

/// Appends a one-dimensional i64 initializer to a GraphProto.
pub fn int_initializer(graph: &mut Writer, name: &str, values: &[i64]) {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(graph, name, 7, &[values.len()], &raw); // INT64
}

fn tensor(graph: &mut Writer, name: &str, kind: i64, shape: &[usize], raw: &[u8]) {
    let mut tensor = Writer::with_capacity(raw.len() + name.len() + 64);
    for &length in shape {
        tensor.int(1, length as i64);
    }
    tensor.int(2, kind);
    tensor.bytes(8, name.as_bytes());
    tensor.bytes(9, raw);
    graph.bytes(5, &tensor.finish());
}

/// Appends a node with lists of integers as its attributes; an attribute of one integer is given as [`Attribute::Int`].
pub fn node(graph: &mut Writer, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) {
    let mut node = Writer::default();
    for input in inputs {
        node.bytes(1, input.as_bytes());
    }
    node.bytes(2, output.as_bytes());
    node.bytes(3, output.as_bytes());
    node.bytes(4, operator.as_bytes());
    for (name, value) in attributes {
        let mut attribute = Writer::default();
        attribute.bytes(1, name.as_bytes());
        match value {
            Attribute::Int(value) => {
                attribute.int(3, *value);
                attribute.int(20, 2); // INT
            }
            Attribute::Ints(values) => {
                values.iter().for_each(|&v| attribute.int(8, v));
                attribute.int(20, 7); // INTS
            }
        }
        node.bytes(5, &attribute.finish());
    }
    graph.bytes(1, &node.finish());
}

/// The value of a node's attribute.
#[derive(Debug, Clone, Copy)]
pub enum Attribute<'a> {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(&'a [i64]),
}

/// The length of an axis.
#[derive(Debug, Clone, Copy)]
pub enum Axis<'a> {
    /// Always this.
    Fixed(usize),
    /// Any, under this name.
    Free(&'a str),
}

/// Appends the graph's input, an f32 tensor.
pub fn input(graph: &mut Writer, name: &str, shape: &[Axis<'_>]) {
    value_info(graph, 11, name, shape);
}

/// Appends an output of the graph, an f32 tensor.
pub fn output(graph: &mut Writer, name: &str, shape: &[Axis<'_>]) {
    value_info(graph, 12, name, shape);
}

/// Appends an output whose kind and shape follow from the rest of the graph.
pub(super) fn output_as_inferred(graph: &mut Writer, name: &str) {
    let mut value = Writer::default();
    value.bytes(1, name.as_bytes());
    graph.bytes(12, &value.finish());
}

fn value_info(graph: &mut Writer, field: u32, name: &str, axes: &[Axis<'_>]) {
    let mut shape = Writer::default();
    for axis in axes {
        let mut length = Writer::default();
        match axis {
            Axis::Fixed(n) => length.int(1, *n as i64),
            Axis::Free(name) => length.bytes(2, name.as_bytes()),
        }
        shape.bytes(1, &length.finish());
    }
    let mut tensor = Writer::default();
    tensor.int(1, 1); // FLOAT
    tensor.bytes(2, &shape.finish());
    let mut kind = Writer::default();
    kind.bytes(1, &tensor.finish());
    let mut value = Writer::default();
    value.bytes(1, name.as_bytes());
    value.bytes(2, &kind.finish());
    graph.bytes(field, &value.finish());
}

/// The fields of a ModelProto besides its graph: format version 8, operators of set 13, and `metadata`.
pub fn head(metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut head = Writer::default();
    head.int(1, 8);
    head.bytes(2, b"bledsoe");
    let mut operators = Writer::default();
    operators.bytes(1, b"");
    operators.int(2, 13);
    head.bytes(8, &operators.finish());
    metadata.iter().for_each(|(key, value)| entry(&mut head, key, value));
    head.finish()
}

/// Appends an entry of its metadata to a ModelProto.
pub(super) fn entry(model: &mut Writer, key: &str, value: &str) {
    let mut entry = Writer::default();
    entry.bytes(1, key.as_bytes());
    entry.bytes(2, value.as_bytes());
    model.bytes(14, &entry.finish());
}

/// A ModelProto of its other fields and its graph.
pub fn model(rest: &[u8], graph: &[u8]) -> Vec<u8> {
    let mut model = Writer::with_capacity(rest.len() + graph.len() + 16);
    model.raw(rest);
    model.bytes(7, graph);
    model.finish()
}

/// The metadata of a ModelProto; `name` is for error messages.
///
/// # Errors
/// [`Error::Model`] when the bytes are damaged or no protobuf.
pub fn metadata(onnx: &[u8], name: &str) -> Result<BTreeMap<String, String>> {
    let damaged = || Error::model(name, "damaged, or not an ONNX file");
    let mut found = BTreeMap::new();
    for entry in fields(onnx).ok_or_else(damaged)?.iter().filter(|field| field.number == 14) {
        let parts = fields(entry.bytes()).ok_or_else(damaged)?;
        found.insert(text(&parts, 1), text(&parts, 2));
    }
    Ok(found)
}

/// The first field of that number as text; empty if there is none.
pub(super) fn text(fields: &[Field<'_>], number: u64) -> String {
    let bytes = fields.iter().find(|field| field.number == number).map_or(&[][..], Field::bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

/// One field of a message.
pub(super) struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// The field as it is encoded, tag and all.
    pub raw: &'a [u8],
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Int(u64),
    /// Bytes, a string or a message.
    Bytes(&'a [u8]),
    /// The four or eight bytes of a number.
    Fixed(&'a [u8]),
}

impl<'a> Field<'a> {
    /// The bytes, string or message; empty if it holds a number.
    pub fn bytes(&self) -> &'a [u8] {
        if let Value::Bytes(bytes) = self.value { bytes } else { &[] }
    }
}

/// The fields of a message, in order; `None` if the bytes are damaged.
pub(super) fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let tag = read_varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Int(read_varint(&mut rest)?),
            1 => Value::Fixed(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(read_varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, length)?)
            }
            5 => Value::Fixed(take(&mut rest, 4)?),
            _ => return None,
        };
        found.push(Field { number: tag >> 3, value, raw: &start[..start.len() - rest.len()] });
    }
    Some(found)
}

/// The integers of a repeated field, packed or not; `None` if the bytes are damaged.
pub(super) fn integers(fields: &[Field<'_>], number: u64) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    for field in fields.iter().filter(|field| field.number == number) {
        match field.value {
            Value::Int(value) => found.push(value),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    found.push(read_varint(&mut packed)?);
                }
            }
            Value::Fixed(_) => return None,
        }
    }
    Some(found)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_back() {
        let mut graph = Writer::default();
        initializer(&mut graph, "weight", &[2, 1], &[1.0, -2.0]);
        node(&mut graph, "Relu", &["x"], "y", &[("axis", Attribute::Int(-1))]);
        let onnx = model(&head(&[("key", "some text"), ("other", "")]), &graph.finish());
        let metadata = metadata(&onnx, "x").unwrap();
        assert_eq!(metadata.len(), 2);
        assert_eq!((&*metadata["key"], &*metadata["other"]), ("some text", ""));
    }

    #[test]
    fn truncated_files_are_refused() {
        let onnx = model(&head(&[("key", "some text")]), &[1; 9]);
        assert!(metadata(&onnx[..onnx.len() - 1], "x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = metadata(&bytes, "x");
        }
    }
}
