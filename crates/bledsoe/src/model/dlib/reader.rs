//! dlib's portable binary encoding.
//!
//! Integers are a control byte (bit 7: negative; bits 0 to 3: how many bytes follow) and the magnitude's bytes, lowest
//! first. Floating-point numbers are two such integers, mantissa and exponent of 2. Networks hold their weights as
//! tensors of plain little-endian f32.

use crate::{Error, Result};

/// Reads dlib's encoding from memory; every read is checked.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    name: &'a str,
}

/// A dlib tensor: samples x channels x rows x columns.
#[derive(Debug, Clone, PartialEq)]
pub struct DlibTensor {
    /// The four lengths.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}

/// dlib's exponents for infinity, minus infinity and not-a-number.
const SPECIAL_EXPONENTS: [(i64, f64); 3] = [(32000, f64::INFINITY), (32001, f64::NEG_INFINITY), (32002, f64::NAN)];

impl<'a> Reader<'a> {
    /// A reader of `bytes`; `name` is for error messages.
    pub fn new(bytes: &'a [u8], name: &'a str) -> Self {
        Self { rest: bytes, name }
    }

    /// An error about this file.
    pub fn fail(&self, reason: impl Into<String>) -> Error {
        Error::model(self.name, reason)
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or_else(|| self.fail("truncated"))?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    /// An integer.
    pub fn int(&mut self) -> Result<i64> {
        let control = self.byte()?;
        let (n, negative) = (usize::from(control & 0x0f), control & 0x80 != 0);
        if n > 8 || control & 0x70 != 0 {
            return Err(self.fail("damaged, or not a dlib file"));
        }
        let magnitude = self.take(n)?.iter().rev().fold(0u64, |value, &b| value << 8 | u64::from(b));
        let value = i64::try_from(magnitude).map_err(|_| self.fail("an integer out of range"))?;
        Ok(if negative { -value } else { value })
    }

    /// A floating-point number.
    pub fn float(&mut self) -> Result<f64> {
        let (mantissa, exponent) = (self.int()?, self.int()?);
        if let Some((_, special)) = SPECIAL_EXPONENTS.iter().find(|(e, _)| *e == exponent) {
            return Ok(*special);
        }
        let exponent = i32::try_from(exponent).map_err(|_| self.fail("an exponent out of range"))?;
        Ok(mantissa as f64 * 2f64.powi(exponent))
    }

    /// A truth value.
    pub fn bool(&mut self) -> Result<bool> {
        match self.byte()? {
            b'1' => Ok(true),
            b'0' => Ok(false),
            _ => Err(self.fail("damaged, or not a dlib file")),
        }
    }

    /// A length: a count of things that take at least one byte each, so a damaged file cannot ask for much memory.
    pub fn length(&mut self) -> Result<usize> {
        let length = self.int()?;
        usize::try_from(length)
            .ok()
            .filter(|&n| n <= self.remaining())
            .ok_or_else(|| self.fail(format!("a length of {length} in the last {} bytes", self.remaining())))
    }

    /// A string.
    pub fn string(&mut self) -> Result<String> {
        let length = self.length()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    /// A matrix of floating-point numbers: rows, columns, row-major values. dlib stores the lengths negated.
    pub fn matrix(&mut self) -> Result<(usize, usize, Vec<f32>)> {
        let (rows, columns) = (self.int()?.unsigned_abs() as usize, self.int()?.unsigned_abs() as usize);
        let count = rows
            .checked_mul(columns)
            .filter(|&n| n <= self.remaining())
            .ok_or_else(|| self.fail(format!("a {rows}x{columns} matrix in {} bytes", self.remaining())))?;
        let values = (0..count).map(|_| Ok(self.float()? as f32)).collect::<Result<_>>()?;
        Ok((rows, columns, values))
    }

    /// A tensor (format version 2).
    pub fn tensor(&mut self) -> Result<DlibTensor> {
        match self.int()? {
            2 => {}
            version => return Err(self.fail(format!("a tensor of version {version}, expected 2"))),
        }
        let mut shape = [0usize; 4];
        for length in &mut shape {
            *length = usize::try_from(self.int()?).map_err(|_| self.fail("a tensor of negative size"))?;
        }
        let bytes = shape
            .iter()
            .try_fold(4usize, |product, &n| product.checked_mul(n))
            .ok_or_else(|| self.fail("a tensor out of range"))?;
        let values = self.take(bytes)?.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(DlibTensor { shape, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_dlib_writes() {
        // dlib::serialize of 300, -2, 0, 0.5f (mantissa 2^23, exponent -24 shortened by dlib to 1 and -1), true.
        let bytes = [2, 0x2c, 1, 0x81, 2, 0, 1, 1, 0x81, 1, b'1', 3];
        let mut reader = Reader::new(&bytes, "x");
        assert_eq!(reader.int().unwrap(), 300);
        assert_eq!(reader.int().unwrap(), -2);
        assert_eq!(reader.int().unwrap(), 0);
        assert_eq!(reader.float().unwrap(), 0.5);
        assert!(reader.bool().unwrap());
        assert!(reader.int().is_err(), "truncated");
    }

    #[test]
    fn a_damaged_length_takes_no_memory() {
        let bytes = [4, 0xff, 0xff, 0xff, 0x7f, 4, 0xff, 0xff, 0xff, 0x7f];
        assert!(Reader::new(&bytes, "x").string().is_err());
        assert!(Reader::new(&bytes, "x").matrix().is_err());
        assert!(Reader::new(&bytes, "x").tensor().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes, "x").matrix();
            let _ = Reader::new(&bytes, "x").tensor();
            let _ = Reader::new(&bytes, "x").float();
        }
    }
}
