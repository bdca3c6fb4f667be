//! The journal of a run: finished chunks on disk, so that a killed run can go on.
//!
//! A chunk is kept under a key that hashes its photos' bytes and every setting; a changed photo or setting has another
//! key and is simply not found. Entries are written beside and renamed, so one is whole or absent.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A folder of finished chunks.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// Opens the journal in `folder`, made if absent. Without `resume` what an earlier run left is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made or emptied.
    pub fn open(folder: &Path, resume: bool) -> Result<Self> {
        let io = |e| Error::io(folder, e);
        if !resume && folder.exists() {
            fs::remove_dir_all(folder).map_err(io)?;
        }
        fs::create_dir_all(folder).map_err(io)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The entry under `key`, if it is there and undamaged.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.folder.join(key)).ok()?;
        let content = bytes.len().checked_sub(32)?;
        if Sha256::digest(&bytes[..content]).as_slice() != &bytes[content..] {
            return None;
        }
        bytes.truncate(content);
        Some(bytes)
    }

    /// Stores `content` under `key`.
    ///
    /// # Errors
    /// [`Error::Io`], for example on a full disk; the earlier entries stay whole.
    pub fn put(&self, key: &str, content: &[u8]) -> Result<()> {
        let path = self.folder.join(key);
        let beside = self.folder.join(format!("{key}.tmp"));
        let write = || {
            let mut file = fs::File::create(&beside)?;
            file.write_all(content)?;
            file.write_all(&Sha256::digest(content))?;
            // A crash of the machine may lose the entry, which costs only its work: the checksum tells.
            fs::rename(&beside, &path)
        };
        write().map_err(|e| Error::io(&path, e))
    }

    /// Removes the journal: its run is complete.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(|e| Error::io(&self.folder, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_whole_entries_only() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("j");
        let journal = Journal::open(&folder, false).unwrap();
        journal.put("k", b"content").unwrap();
        assert_eq!(journal.get("k").as_deref(), Some(&b"content"[..]));
        assert_eq!(journal.get("other"), None);
        let bytes = fs::read(folder.join("k")).unwrap();
        fs::write(folder.join("k"), &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(journal.get("k"), None);
        fs::write(folder.join("k"), b"x").unwrap();
        assert_eq!(journal.get("k"), None);
    }

    #[test]
    fn resume_keeps_and_a_fresh_run_drops() {
        let dir = tempfile::tempdir().unwrap();
        Journal::open(dir.path(), true).unwrap().put("k", b"1").unwrap();
        assert!(Journal::open(dir.path(), true).unwrap().get("k").is_some());
        assert!(Journal::open(dir.path(), false).unwrap().get("k").is_none());
    }
}
