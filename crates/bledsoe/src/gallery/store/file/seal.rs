//! Seals: what every piece of bytes in a gallery's file is wrapped in, so that damage and exchanged rows are noticed,
//! and with a key so that nobody else can read it.
//!
//! Without a key a seal is the piece and a CRC-32 of it and its place. With one it is a random nonce of 24 bytes and
//! the piece by XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha), the place being the associated data.

use std::{fmt, path::Path};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, Generate, KeyInit, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, Result};

/// The key of an encrypted gallery: 32 random bytes. Wiped from memory when dropped.
///
/// `head -c 32 /dev/urandom > KEY` makes a file for [`Key::read`].
#[derive(Clone)]
pub struct Key([u8; 32]);

/// Names the variable in which [`Key::from_env`] looks.
pub const KEY_VARIABLE: &str = "BLEDSOE_KEY";

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of 64 hexadecimal digits, white space around them aside.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else. The text is not repeated.
    pub fn from_hex(text: &str) -> Result<Self> {
        Self::parse(text.as_bytes()).ok_or_else(|| Error::Invalid("a key is 64 hexadecimal digits".into()))
    }

    /// The key in a file of 32 bytes, or of 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Format`] for any other content.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Zeroizing::new(std::fs::read(path).map_err(|e| Error::io(path, e))?);
        match <[u8; 32]>::try_from(&**bytes) {
            Ok(key) => Ok(Self(key)),
            Err(_) => Self::parse(&bytes)
                .ok_or_else(|| Error::format(path, "not a key: that is 32 bytes, or 64 hexadecimal digits")),
        }
    }

    /// The key in the variable [`KEY_VARIABLE`] as hexadecimal digits, if it is set.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it holds anything else.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(text) = std::env::var_os(KEY_VARIABLE) else { return Ok(None) };
        let text = Zeroizing::new(text.into_encoded_bytes());
        let key = Self::parse(&text);
        key.map(Some).ok_or_else(|| Error::Invalid(format!("{KEY_VARIABLE}: a key is 64 hexadecimal digits")))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (pairs, rest) = text.trim_ascii().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
        let mut key = Self([0; 32]);
        for (byte, &[high, low]) in key.0.iter_mut().zip(pairs) {
            *byte = 16 * digit(high)? + digit(low)?;
        }
        Some(key)
    }

    /// A key for one purpose in one gallery.
    fn derive(&self, purpose: &str, salt: &[u8]) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(keyed(&self.0, &[purpose.as_bytes(), salt]))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// HMAC-SHA-256.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a key up with zeros to the length of a block.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Where a sealed piece belongs: in any other place it is damaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place([u8; 33]);

impl Place {
    /// The gallery's own piece.
    pub(super) const GALLERY: Self = Self([b'g'; 33]);

    pub(super) fn person(id: i64) -> Self {
        Self::numbered(b'p', [id, 0, 0])
    }

    /// The vector of a template, and whose it is, and as what.
    pub(super) fn vector(id: i64, person: i64, role: i64) -> Self {
        Self::numbered(b'v', [id, person, role])
    }

    /// Where a template came from.
    pub(super) fn origin(id: i64, person: i64, role: i64) -> Self {
        Self::numbered(b'o', [id, person, role])
    }

    /// A part of the search index.
    pub(super) fn part(number: i64) -> Self {
        Self::numbered(b'i', [number, 0, 0])
    }

    /// The note of which this is the key's [`Seal::name`].
    pub(super) fn note(name: &[u8; 32]) -> Self {
        let mut place = [b'n'; 33];
        place[1..].copy_from_slice(name);
        Self(place)
    }

    fn numbered(what: u8, numbers: [i64; 3]) -> Self {
        let mut place = [what; 33];
        for (bytes, number) in place[1..].chunks_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self(place)
    }
}

/// How a gallery seals.
pub(super) enum Seal {
    Checksum,
    Cipher { cipher: Box<XChaCha20Poly1305>, names: Zeroizing<[u8; 32]> },
}

/// Bytes of the salt that a gallery's keys are derived with.
pub(super) const SALT: usize = 32;

const CHECKSUM: usize = 4;
const NONCE: usize = 24;

impl Seal {
    pub(super) fn new(key: Option<&Key>, salt: &[u8]) -> Self {
        match key {
            None => Self::Checksum,
            Some(key) => Self::Cipher {
                cipher: Box::new(XChaCha20Poly1305::new((&*key.derive("bledsoe gallery: seal", salt)).into())),
                names: key.derive("bledsoe gallery: names", salt),
            },
        }
    }

    /// `piece`, sealed for `place`.
    pub(super) fn close(&self, place: Place, piece: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Checksum => Ok([piece, &checksum(place, piece)].concat()),
            Self::Cipher { cipher, .. } => {
                let nonce: XNonce = random()?;
                let sealed = cipher.encrypt(&nonce, Payload { msg: piece, aad: &place.0 });
                let sealed = sealed.map_err(|_| Error::Invalid("a piece too large to encrypt".into()))?;
                Ok([nonce.as_slice(), &sealed].concat())
            }
        }
    }

    /// The piece in `sealed`, if that was sealed for `place` and is whole.
    pub(super) fn open(&self, place: Place, sealed: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Checksum => {
                let (piece, sum) = sealed.split_last_chunk::<CHECKSUM>()?;
                (*sum == checksum(place, piece)).then(|| piece.to_vec())
            }
            Self::Cipher { cipher, .. } => {
                let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
                cipher.decrypt(nonce.into(), Payload { msg: sealed, aad: &place.0 }).ok()
            }
        }
    }

    /// By which a person or a note is looked up: tells nothing of `name` without the key.
    pub(super) fn name(&self, name: &str) -> [u8; 32] {
        match self {
            Self::Checksum => Sha256::digest(name).into(),
            Self::Cipher { names, .. } => keyed(names, &[name.as_bytes()]),
        }
    }
}

/// Random bytes from the operating system.
pub(super) fn random<T: Generate>() -> Result<T> {
    T::try_generate().map_err(|e| Error::Invalid(format!("the system gave no random bytes: {e}")))
}

fn checksum(place: Place, piece: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&place.0);
    sum.update(piece);
    sum.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_in_its_place_and_unchanged() {
        let key = Key::new([7; 32]);
        for seal in [Seal::new(None, b"salt"), Seal::new(Some(&key), b"salt")] {
            let sealed = seal.close(Place::vector(1, 2, 0), b"piece").unwrap();
            assert_eq!(seal.open(Place::vector(1, 2, 0), &sealed).as_deref(), Some(&b"piece"[..]));
            for other in [Place::vector(1, 3, 0), Place::vector(1, 2, 1), Place::origin(1, 2, 0), Place::GALLERY] {
                assert_eq!(seal.open(other, &sealed), None);
            }
            for i in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[i] ^= 1;
                assert_eq!(seal.open(Place::vector(1, 2, 0), &damaged), None);
                assert_eq!(seal.open(Place::vector(1, 2, 0), &sealed[..i]), None);
            }
        }
    }

    #[test]
    fn a_key_opens_only_what_it_closed() {
        let seal = |key: u8, salt: &[u8]| Seal::new(Some(&Key::new([key; 32])), salt);
        let sealed = seal(1, b"salt").close(Place::GALLERY, b"piece").unwrap();
        assert!(!sealed.windows(5).any(|window| window == b"piece"));
        assert_ne!(sealed, seal(1, b"salt").close(Place::GALLERY, b"piece").unwrap(), "a nonce is used once");
        assert!(seal(1, b"salt").open(Place::GALLERY, &sealed).is_some());
        for other in [seal(2, b"salt"), seal(1, b"other"), Seal::Checksum] {
            assert_eq!(other.open(Place::GALLERY, &sealed), None);
            assert_ne!(other.name("Ada"), seal(1, b"salt").name("Ada"));
        }
    }

    #[test]
    fn names_are_hashed_as_rfc_4231_says() {
        // Test case 2.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = keyed(&key, &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(crate::hash::hex(&hash), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn keys_are_read_from_bytes_and_digits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F";
        let bytes: [u8; 32] = std::array::from_fn(|i| i as u8);
        for content in [bytes.to_vec(), hex.into(), format!(" {hex}\r\n").into()] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(Key::read(&file).unwrap().0, bytes);
        }
        for content in [&b""[..], &bytes[1..], &hex.as_bytes()[1..], &[b'g'; 64], &[0; 33]] {
            std::fs::write(&file, content).unwrap();
            assert!(matches!(Key::read(&file), Err(Error::Format { .. })));
        }
        let error = Key::from_hex("secret").unwrap_err().to_string();
        assert!(!error.contains("secret"));
        assert!(!format!("{:?}", Key::new(bytes)).contains('1'));
    }
}
