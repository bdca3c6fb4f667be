//! What `cluster` writes: clusters.csv, links to the photos by person, a contact sheet.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use bledsoe::{
    cluster::Clustering,
    dataset::clusters::{self, ClusteredFace},
    report::clusters::{Group, Report, Shot, write},
};

use super::{DOUBTFUL, Item};

/// The list of faces.
const LIST: &str = "clusters.csv";
/// The contact sheet.
pub const SHEET: &str = "clusters.html";
/// The folder of those who are like nobody else.
const ALONE: &str = "alone";

/// Refuses a folder that holds something, before long work is done.
pub fn check(out: &Path, copy: bool) -> Result<()> {
    super::console::check_folder(out)?;
    if out.exists() && fs::read_dir(out).with_context(|| out.display().to_string())?.next().is_some() {
        bail!("{}: is not empty; name a new folder", out.display());
    }
    if !cfg!(unix) && !copy {
        bail!("links to photos are made on Unix only: use --copy");
    }
    Ok(())
}

/// Faces by cluster.
pub struct Output<'a> {
    items: &'a [Item],
    clustering: &'a Clustering,
    /// Places of the faces of each cluster.
    members: Vec<Vec<usize>>,
}

impl<'a> Output<'a> {
    pub fn new(items: &'a [Item], clustering: &'a Clustering) -> Self {
        let mut members = vec![Vec::new(); clustering.names.len()];
        clustering.clusters.iter().enumerate().for_each(|(face, &cluster)| members[cluster].push(face));
        Self { items, clustering, members }
    }

    /// Clusters of two faces or more.
    pub fn people(&self) -> usize {
        self.members.iter().filter(|members| members.len() > 1).count()
    }

    /// Faces that are alone.
    pub fn alone(&self) -> usize {
        self.members.iter().filter(|members| members.len() == 1).count()
    }

    /// How many faces are doubtful; `None` where that is not known.
    pub fn doubtful(&self) -> Option<usize> {
        let confidence = &self.clustering.confidence;
        confidence.iter().all(Option::is_some).then(|| confidence.iter().flatten().filter(|c| **c < DOUBTFUL).count())
    }

    /// The outcome in one sentence.
    pub fn summary(&self) -> String {
        let doubtful = self.doubtful().map_or(String::new(), |doubtful| format!("; {doubtful} faces are doubtful"));
        format!(
            "{} faces: {} people with two faces or more, {} faces like no other{doubtful}.",
            self.items.len(),
            self.people(),
            self.alone()
        )
    }

    /// Writes everything into `out`, and says how many photos could not be linked because they are not there.
    pub fn write(&self, out: &Path, copy: bool, summary: &str, settings: &serde_json::Value) -> Result<usize> {
        fs::create_dir_all(out).with_context(|| out.display().to_string())?;
        let clustering = self.clustering;
        let name = |cluster: usize| clustering.names[cluster].clone();
        let row = |(i, item): (usize, &Item)| ClusteredFace {
            path: item.path.clone(),
            face: item.face,
            cluster: name(clustering.clusters[i]),
            confidence: clustering.confidence[i],
            rival: clustering.rivals[i].map(name),
        };
        clusters::write(&out.join(LIST), &self.items.iter().enumerate().map(row).collect::<Vec<_>>())?;
        let unlinked = self.link(out, copy)?;

        let sure = |&a: &usize, &b: &usize| {
            let confidence = |face: usize| clustering.confidence[face].unwrap_or_default();
            confidence(b).total_cmp(&confidence(a)).then(a.cmp(&b))
        };
        let groups = self.members.iter().enumerate().filter(|(_, members)| members.len() > 1);
        let mut groups: Vec<Group> = groups
            .map(|(cluster, members)| {
                let mut members = members.clone();
                members.sort_by(sure);
                Group { name: name(cluster), faces: members.into_iter().map(|face| self.shot(face)).collect() }
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.faces.len()));
        let doubted = |face: &usize| clustering.confidence[*face].is_some_and(|confidence| confidence < DOUBTFUL);
        let mut doubtful: Vec<usize> = (0..self.items.len()).filter(doubted).collect();
        doubtful.sort_by(|a, b| sure(b, a));
        let doubtful: Vec<Shot> = doubtful.into_iter().map(|face| self.shot(face)).collect();
        let report = Report { groups: &groups, doubtful: &doubtful, alone: self.alone(), summary, settings };
        write(&out.join(SHEET), &report)?;
        Ok(unlinked)
    }

    fn shot(&self, face: usize) -> Shot {
        let (item, clustering) = (&self.items[face], self.clustering);
        let cluster = clustering.clusters[face];
        Shot {
            file: item.file.clone().unwrap_or_else(|| item.path.clone().into()),
            path: item.path.clone(),
            rect: item.rect,
            cluster: clustering.names[cluster].clone(),
            size: self.members[cluster].len(),
            confidence: clustering.confidence[face],
            rival: clustering.rivals[face].map(|rival| clustering.names[rival].clone()),
        }
    }

    /// A folder for each person, with links to the photos or copies of them. Those who are alone share one.
    fn link(&self, out: &Path, copy: bool) -> Result<usize> {
        let mut unlinked = 0;
        let mut folders = Names::default();
        let alone = out.join(folders.free(ALONE));
        let mut names_alone = Names::default();
        for (cluster, members) in self.members.iter().enumerate().filter(|(_, members)| !members.is_empty()) {
            let (folder, mut names) = match members.len() {
                1 => (alone.clone(), std::mem::take(&mut names_alone)),
                _ => (out.join(folders.free(&self.clustering.names[cluster])), Names::default()),
            };
            for &face in members {
                let Some(file) = &self.items[face].file else {
                    unlinked += 1;
                    continue;
                };
                fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                put(file, &folder.join(names.free(&name)), copy)?;
            }
            if members.len() == 1 {
                names_alone = names;
            }
        }
        Ok(unlinked)
    }
}

fn put(file: &Path, place: &Path, copy: bool) -> Result<()> {
    let context = || format!("{} to {}", file.display(), place.display());
    if copy {
        // Never half a photo under a photo's name.
        let unfinished = place.with_added_extension("tmp");
        let copied = fs::copy(file, &unfinished).and_then(|_| fs::rename(&unfinished, place));
        if copied.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        return copied.with_context(context);
    }
    let file: PathBuf = fs::canonicalize(file).with_context(context)?;
    link(&file, place).with_context(context)
}

#[cfg(unix)]
fn link(file: &Path, place: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(file, place)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Names of files in one folder, each once, whatever their case.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// A name for a file or folder like `wanted` that is not taken: nothing in it leads elsewhere.
    fn free(&mut self, wanted: &str) -> String {
        let plain = |c: char| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c };
        let mut safe: String = wanted.chars().map(plain).collect();
        if safe.is_empty() || safe.starts_with('.') {
            safe.insert(0, '_');
        }
        let (stem, extension) = match safe.rsplit_once('.') {
            Some((stem, extension)) if !stem.is_empty() => (stem.to_owned(), format!(".{extension}")),
            _ => (safe.clone(), String::new()),
        };
        let mut name = safe;
        let mut number = 2;
        while !self.0.insert(name.to_lowercase()) {
            name = format!("{stem}-{number}{extension}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_safe_and_each_there_once() {
        let mut names = Names::default();
        let wanted = ["a.jpg", "A.jpg", "a.jpg", "../x", "..", "", "Ada/Bob", "ada_bob", ".hidden"];
        let found: Vec<String> = wanted.iter().map(|wanted| names.free(wanted)).collect();
        assert_eq!(found, ["a.jpg", "A-2.jpg", "a-3.jpg", "_.._x", "_..", "_", "Ada_Bob", "ada_bob-2", "_.hidden"]);
    }
}
