//! Writing ONNX: the few protobuf messages that a network needs, in the order given.
//!
//! Field numbers are those of `onnx.proto`, the public schema.

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
    let mut tensor = Writer::with_capacity(4 * values.len() + name.len() + 64);
    for &length in shape {
        tensor.int(1, length as i64);
    }
    tensor.int(2, 1); // FLOAT
    tensor.bytes(8, name.as_bytes());
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.bytes(9, &raw);
    graph.bytes(5, &tensor.finish());
}

/// A ModelProto of its other fields and its graph.
pub fn model(rest: &[u8], graph: &[u8]) -> Vec<u8> {
    let mut model = Writer::with_capacity(rest.len() + graph.len() + 16);
    model.raw(rest);
    model.bytes(7, graph);
    model.finish()
}
