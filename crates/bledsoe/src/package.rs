//! Packages of PyPI and npm, fetched through the user's own pip, uv or npm: their mirrors, proxies and caches hold.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;

/// Programs that run pip, in the order tried.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["uv", "tool", "run", "pip"]];

/// Downloads one PyPI package, without what it depends on, into the empty folder `into`; gives the file. `arguments` go
/// to `pip download`.
///
/// # Errors
/// What each client tried said, in words.
pub fn pip_download<S: AsRef<OsStr>>(arguments: &[S], into: &Path) -> Result<PathBuf, String> {
    let mut said = Vec::new();
    for pip in PIPS {
        let mut command = Command::new(pip[0]);
        command.args(&pip[1..]).args(["download", "--quiet", "--no-deps", "--disable-pip-version-check", "--dest"]);
        command.arg(into).args(arguments);
        match run(command) {
            Ok(_) => return only_file(into),
            Err(reason) => said.push(format!("{}: {reason}", pip.join(" "))),
        }
    }
    Err(said.join("; "))
}

/// Downloads an npm package, `NAME@VERSION`, into the empty folder `into`; gives the file.
///
/// # Errors
/// What npm said, in words.
pub fn npm_pack(package: &str, into: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(["pack", "--silent", "--pack-destination"]).arg(into).arg(package);
    run(command).map_err(|reason| format!("npm: {reason}"))?;
    only_file(into)
}

/// Runs a client; what it says goes into the error, its last lines only.
fn run(mut command: Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    Err(lines[lines.len().saturating_sub(3)..].join(" "))
}

fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let files: Vec<PathBuf> = fs::read_dir(folder)
        .map_err(|e| e.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_archive(path))
        .collect();
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(format!("the client left {} packages in {} instead of one", files.len(), folder.display())),
    }
}

/// Whether `path` is called as packages are: a wheel, or a gzipped tar.
pub fn is_archive(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    [".whl", ".zip", ".tar.gz", ".tgz"].iter().any(|ending| name.ends_with(ending))
}

/// Hands the content of the file `member` of a package to `take`. `None` when there is no such file. The folder that
/// source packages and npm put around everything may be left out of `member`.
///
/// # Errors
/// When the package is damaged, or `take` fails.
pub fn member<T>(
    package: &Path,
    member: &str,
    take: impl FnOnce(&mut dyn Read) -> std::io::Result<T>,
) -> std::io::Result<Option<T>> {
    let wanted = |path: &str| path == member || path.split_once('/').is_some_and(|(_, inner)| inner == member);
    let file = File::open(package)?;
    let ending = package.extension().map(OsString::from).unwrap_or_default();
    if ending == "whl" || ending == "zip" {
        let mut archive = zip::ZipArchive::new(file)?;
        let Some(name) = archive.file_names().find(|name| wanted(name)).map(str::to_owned) else { return Ok(None) };
        return take(&mut archive.by_name(&name)?).map(Some);
    }
    for entry in tar::Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() && wanted(&entry.path()?.to_string_lossy()) {
            return take(&mut entry).map(Some);
        }
    }
    Ok(None)
}
