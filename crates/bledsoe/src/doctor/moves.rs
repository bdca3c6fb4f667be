//! Carrying out fixes: a list of moves that can be read, edited, done, and taken back.
//!
//! A list is a text file with one JSON object a line (JSON Lines): where a photo lies, where it is to go, and the SHA-256
//! of its content. [`apply`] writes the list of what it is about to do first; [`undo`] takes such a list back. Either may
//! be interrupted and repeated. No photo is deleted, none overwritten, and one that has changed since is left alone.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use serde::{Deserialize, Serialize};

use super::{Finding, Fix, Kind};
use crate::{Error, Result, dataset::Skipped, hash, whole_file};

/// Where photos go that are suggested to be taken out: a hidden folder, which no scan looks into.
pub const QUARANTINE: &str = ".bledsoe-quarantine";

/// One photo's move, with paths below the folder and `/` between folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Where the photo lies.
    pub from: String,
    /// Where it is to go; nothing may be there.
    pub to: String,
    /// SHA-256 of the photo, in hex: another content is not moved.
    pub sha256: String,
    /// Why.
    pub finding: Kind,
}

/// What became of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Photos moved now.
    pub moved: usize,
    /// Photos that an earlier, interrupted run had moved.
    pub already: usize,
    /// Photos left alone, and why.
    pub failed: Vec<Skipped>,
}

/// The moves that carry out the fixes of `findings` in `folder`: at most one for each photo, the first finding's.
/// `hashes` gives the SHA-256 of photos by path. Names that are taken are told apart by a number.
///
/// Photos of findings of which the fix is to look at them stay where they are.
pub fn plan(folder: &Path, findings: &[Finding], hashes: &HashMap<String, String>) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    let (mut moving, mut taken) = (HashSet::new(), HashSet::new());
    for finding in findings {
        let target = |photo: &str| match &finding.fix {
            Fix::Look => None,
            Fix::Quarantine => Some(format!("{QUARANTINE}/{photo}")),
            Fix::Relabel { person } => Some(format!("{person}/{}", photo.rsplit('/').next().unwrap_or(photo))),
        };
        for photo in &finding.photos {
            let (Some(to), Some(sha256)) = (target(photo), hashes.get(photo)) else { continue };
            if !moving.insert(photo.clone()) {
                continue;
            }
            let to = free_name(folder, &to, &taken);
            // Some file systems do not tell upper from lower case.
            taken.insert(to.to_lowercase());
            moves.push(Move { from: photo.clone(), to, sha256: sha256.clone(), finding: finding.kind });
        }
    }
    moves
}

/// `path`, or the first of `path_2`, `path_3`, … (before the extension) that nothing lies at and no move goes to.
fn free_name(folder: &Path, path: &str, taken: &HashSet<String>) -> String {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let dot = path[name..].rfind('.').filter(|&dot| dot > 0).map_or(path.len(), |dot| name + dot);
    let mut candidate = path.to_owned();
    let mut number = 1;
    while taken.contains(&candidate.to_lowercase()) || folder.join(&candidate).symlink_metadata().is_ok() {
        number += 1;
        candidate = format!("{}_{number}{}", &path[..dot], &path[dot..]);
    }
    candidate
}

/// Writes a list, whole or not at all. A list that is there is not overwritten.
///
/// # Errors
/// [`Error::Io`]; [`Error::Invalid`] when there is a file already.
pub fn write(path: &Path, moves: &[Move]) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(Error::Invalid(format!("{}: is there already; name another file", path.display())));
    }
    replace(path, moves)
}

fn replace(path: &Path, moves: &[Move]) -> Result<()> {
    let mut text = String::new();
    for one in moves {
        text += &serde_json::to_string(one).map_err(|e| Error::Invalid(e.to_string()))?;
        text.push('\n');
    }
    whole_file::replace(path, |unfinished| {
        let write = || {
            let mut file = fs::File::create(unfinished)?;
            file.write_all(text.as_bytes())?;
            // On disk before the first photo moves.
            file.sync_all()
        };
        write().map_err(|e| Error::io(path, e))
    })
}

/// Reads a list.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`], with the line, for one that is no move, leads out of the folder, or moves a photo
/// twice or two photos to one place.
pub fn read(path: &Path) -> Result<Vec<Move>> {
    let text = fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let (mut moves, mut from, mut to) = (Vec::new(), HashSet::new(), HashSet::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |reason: String| Error::format(path, format!("line {}: {reason}", number + 1));
        let one: Move = serde_json::from_str(line).map_err(|e| fail(e.to_string()))?;
        if let Some(outside) = [&one.from, &one.to].into_iter().find(|path| !stays_inside(path)) {
            return Err(fail(format!("{outside:?} is no path below the folder")));
        }
        if !from.insert(one.from.clone()) {
            return Err(fail(format!("{:?} is moved twice", one.from)));
        }
        if !to.insert(one.to.clone()) || one.from == one.to {
            return Err(fail(format!("another photo is at {:?}", one.to)));
        }
        moves.push(one);
    }
    Ok(moves)
}

fn stays_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Where [`apply`] keeps the list that takes `plan` back.
pub fn undo_list(plan: &Path) -> PathBuf {
    plan.with_added_extension("undo")
}

/// Moves the photos of `folder` as `plan` says. What is about to be done is written to [`undo_list`] first; where that
/// is there of an interrupted run of the same plan, the run goes on.
///
/// # Errors
/// [`Error::Interrupted`] when `stop` is set, [`Error::Io`] when a list cannot be read or written, [`Error::Format`] for
/// a damaged one. A photo that cannot be moved is listed, never an error.
pub fn apply(folder: &Path, plan: &Path, stop: &AtomicBool) -> Result<Moved> {
    let moves = read(plan)?;
    let list = undo_list(plan);
    let mut ours = if list.symlink_metadata().is_ok() { read(&list)? } else { Vec::new() };
    if let Some(foreign) = ours.iter().find(|one| !moves.contains(one)) {
        return Err(Error::Mismatch(format!(
            "{}: takes back another plan (it has {:?}): undo that first, or move the file away",
            list.display(),
            foreign.from
        )));
    }
    let mut failed = Vec::new();
    let started: HashSet<&str> = ours.iter().map(|one| one.from.as_str()).collect();
    let mut fresh = Vec::new();
    for one in moves.iter().filter(|one| !started.contains(one.from.as_str())) {
        match ready(folder, one) {
            Ok(()) => fresh.push(one.clone()),
            Err(reason) => failed.push(skip(&one.from, reason)),
        }
    }
    ours.extend(fresh);
    replace(&list, &ours)?;
    let mut moved = carry_out(folder, &ours, stop)?;
    moved.failed.splice(0..0, failed);
    Ok(moved)
}

/// Takes back the moves of a list that [`apply`] wrote, last first. May be repeated.
///
/// # Errors
/// As [`apply`].
pub fn undo(folder: &Path, list: &Path, stop: &AtomicBool) -> Result<Moved> {
    let back: Vec<Move> = read(list)?.into_iter().rev().map(|one| Move { from: one.to, to: one.from, ..one }).collect();
    carry_out(folder, &back, stop)
}

fn carry_out(folder: &Path, moves: &[Move], stop: &AtomicBool) -> Result<Moved> {
    let mut moved = Moved::default();
    for one in moves {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        match carry_out_one(folder, one) {
            Ok(true) => moved.moved += 1,
            Ok(false) => moved.already += 1,
            Err(reason) => moved.failed.push(skip(&one.from, reason)),
        }
    }
    Ok(moved)
}

fn skip(path: &str, reason: String) -> Skipped {
    Skipped { path: path.to_owned(), stage: "move".into(), reason }
}

/// Whether a move can be begun: the photo is as it was, and nothing lies where it is to go.
fn ready(folder: &Path, one: &Move) -> Result<(), String> {
    unchanged(&folder.join(&one.from), &one.sha256)?;
    if folder.join(&one.to).symlink_metadata().is_ok() {
        return Err(format!("there is a file at {} already", one.to));
    }
    Ok(())
}

fn unchanged(photo: &Path, sha256: &str) -> Result<(), String> {
    let found = hash::sha256_file(photo).map_err(|e| e.reason())?;
    if found == sha256 { Ok(()) } else { Err("its content has changed since the list was made".into()) }
}

/// Moves one photo; `false` if it had been moved before.
///
/// The place is claimed by an empty file, which fails where there is one, and the photo is renamed over it: a rename
/// alone would overwrite. A run that is killed in between leaves the empty file, and the next takes it for its own.
fn carry_out_one(folder: &Path, one: &Move) -> Result<bool, String> {
    let (from, to) = (folder.join(&one.from), folder.join(&one.to));
    let claimed = to.symlink_metadata().ok();
    let Ok(source) = from.symlink_metadata() else {
        return match claimed {
            Some(_) => unchanged(&to, &one.sha256).map(|()| false),
            None => Err("it is gone".into()),
        };
    };
    // The other way round, an undone move leaves such a file where the photo came from.
    if source.is_file() && source.len() == 0 && claimed.as_ref().is_some_and(|_| unchanged(&to, &one.sha256).is_ok()) {
        fs::remove_file(&from).map_err(|e| e.to_string())?;
        return Ok(false);
    }
    unchanged(&from, &one.sha256)?;
    if source.is_symlink() && fs::read_link(&from).is_ok_and(|target| target.is_relative()) {
        return Err("it is a link to a relative path, which would lead elsewhere: move it by hand".into());
    }
    match claimed {
        Some(file) if file.is_file() && file.len() == 0 => {}
        Some(_) => return Err(format!("there is a file at {} already", one.to)),
        None => {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
            }
            fs::File::create_new(&to).map_err(|e| format!("{}: {e}", one.to))?;
        }
    }
    fs::rename(&from, &to).map(|()| true).map_err(|e| {
        // The claim helps nobody now.
        let _ = fs::remove_file(&to);
        format!("cannot be moved to {}: {e}", one.to)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    fn put(folder: &Path, path: &str, content: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Every file below the folder and its content.
    fn files(folder: &Path) -> BTreeMap<String, String> {
        let walk = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|e| e.file_type().is_file());
        walk.map(|e| {
            let path = e.path().strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
            (path, fs::read_to_string(e.path()).unwrap())
        })
        .collect()
    }

    fn a_move(from: &str, to: &str, content: &str) -> Move {
        Move { from: from.into(), to: to.into(), sha256: hash::sha256(content), finding: Kind::Mislabelled }
    }

    fn finding(photos: &[&str], fix: Fix) -> Finding {
        Finding {
            kind: Kind::Mislabelled,
            photos: photos.iter().map(|p| (*p).into()).collect(),
            people: Vec::new(),
            others: Vec::new(),
            scores: BTreeMap::new(),
            fix,
        }
    }

    /// A folder of three photos, and a plan for two of them.
    fn setting() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("photos");
        for photo in ["A/1.jpg", "B/1.jpg", "B/2.jpg"] {
            put(&folder, photo, photo);
        }
        let plan = dir.path().join("plan.jsonl");
        let quarantined = format!("{QUARANTINE}/B/2.jpg");
        write(&plan, &[a_move("A/1.jpg", "new/B/1.jpg", "A/1.jpg"), a_move("B/2.jpg", &quarantined, "B/2.jpg")])
            .unwrap();
        (dir, folder, plan)
    }

    #[test]
    fn a_plan_is_carried_out_repeated_and_taken_back() {
        let (_dir, folder, plan) = setting();
        let before = files(&folder);
        assert_eq!(apply(&folder, &plan, &GO_ON).unwrap(), Moved { moved: 2, ..Moved::default() });
        let after = files(&folder);
        let moved: Vec<&str> = after.keys().map(String::as_str).collect();
        assert_eq!(moved, [".bledsoe-quarantine/B/2.jpg", "B/1.jpg", "new/B/1.jpg"]);
        assert_eq!(apply(&folder, &plan, &GO_ON).unwrap(), Moved { already: 2, ..Moved::default() });
        assert_eq!(files(&folder), after);
        let list = undo_list(&plan);
        assert_eq!(undo(&folder, &list, &GO_ON).unwrap(), Moved { moved: 2, ..Moved::default() });
        assert_eq!(files(&folder), before);
        assert_eq!(undo(&folder, &list, &GO_ON).unwrap(), Moved { already: 2, ..Moved::default() });
        assert_eq!(files(&folder), before);
    }

    #[test]
    fn a_run_cut_off_at_any_point_can_be_repeated_or_taken_back() {
        // As a kill leaves it: the list written; a place claimed; one photo moved; and all of these.
        for cut in 0..4 {
            for repeat in [true, false] {
                let (_dir, folder, plan) = setting();
                let before = files(&folder);
                replace(&undo_list(&plan), &read(&plan).unwrap()).unwrap();
                if cut == 1 {
                    put(&folder, "new/B/1.jpg", "");
                }
                if cut >= 2 {
                    fs::create_dir_all(folder.join("new/B")).unwrap();
                    fs::rename(folder.join("A/1.jpg"), folder.join("new/B/1.jpg")).unwrap();
                }
                if cut == 3 {
                    put(&folder, &format!("{QUARANTINE}/B/2.jpg"), "");
                }
                if repeat {
                    let moved = apply(&folder, &plan, &GO_ON).unwrap();
                    assert_eq!((moved.moved + moved.already, moved.failed), (2, vec![]), "cut {cut}");
                    assert_eq!(files(&folder).len(), 3);
                }
                let back = undo(&folder, &undo_list(&plan), &GO_ON).unwrap();
                assert_eq!(back.failed, [], "cut {cut}");
                assert_eq!(files(&folder), before, "cut {cut}, repeated {repeat}");
            }
        }
    }

    #[test]
    fn nothing_is_moved_once_a_stop_is_asked_for() {
        let (_dir, folder, plan) = setting();
        let before = files(&folder);
        assert!(matches!(apply(&folder, &plan, &AtomicBool::new(true)), Err(Error::Interrupted)));
        assert_eq!(files(&folder), before);
        assert_eq!(apply(&folder, &plan, &GO_ON).unwrap().moved, 2);
    }

    #[test]
    fn what_is_in_the_way_changed_or_gone_is_left_alone() {
        let (_dir, folder, plan) = setting();
        put(&folder, "new/B/1.jpg", "in the way");
        put(&folder, "B/2.jpg", "another content");
        let before = files(&folder);
        let moved = apply(&folder, &plan, &GO_ON).unwrap();
        assert_eq!((moved.moved, moved.failed.len()), (0, 2));
        assert!(moved.failed[0].reason.contains("already") && moved.failed[1].reason.contains("changed"));
        assert_eq!(files(&folder), before);
        // Nor does taking it back touch what it did not move.
        assert_eq!(undo(&folder, &undo_list(&plan), &GO_ON).unwrap().moved, 0);
        fs::remove_file(folder.join("A/1.jpg")).unwrap();
        assert!(!apply(&folder, &plan, &GO_ON).unwrap().failed.is_empty());
    }

    #[test]
    fn a_place_taken_after_the_run_is_not_overwritten_by_taking_back() {
        let (_dir, folder, plan) = setting();
        apply(&folder, &plan, &GO_ON).unwrap();
        put(&folder, "A/1.jpg", "a new photo");
        let back = undo(&folder, &undo_list(&plan), &GO_ON).unwrap();
        assert_eq!((back.moved, back.failed.len()), (1, 1));
        assert_eq!(files(&folder)["A/1.jpg"], "a new photo");
        assert_eq!(files(&folder)["new/B/1.jpg"], "A/1.jpg");
    }

    #[test]
    fn lists_that_lead_outside_or_contradict_themselves_are_refused() {
        let (_dir, folder, plan) = setting();
        for (moves, word) in [
            (vec![a_move("../A/1.jpg", "B/3.jpg", "")], "line 1"),
            (vec![a_move("A/1.jpg", "/tmp/x.jpg", "")], "line 1"),
            (vec![a_move("A/1.jpg", "", "")], "line 1"),
            (vec![a_move("A/1.jpg", "x", ""), a_move("A/1.jpg", "y", "")], "twice"),
            (vec![a_move("A/1.jpg", "x", ""), a_move("B/1.jpg", "x", "")], "line 2"),
        ] {
            replace(&plan, &moves).unwrap();
            let error = apply(&folder, &plan, &GO_ON).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        fs::write(&plan, "{\"from\": 1}").unwrap();
        assert!(matches!(read(&plan), Err(Error::Format { .. })));
        assert!(matches!(write(&plan, &[]), Err(Error::Invalid(_))), "a list is not overwritten");
    }

    #[test]
    fn an_undo_list_of_another_plan_is_not_lost() {
        let (_dir, folder, plan) = setting();
        apply(&folder, &plan, &GO_ON).unwrap();
        replace(&plan, &[a_move("B/1.jpg", "C/1.jpg", "B/1.jpg")]).unwrap();
        assert!(matches!(apply(&folder, &plan, &GO_ON), Err(Error::Mismatch(_))));
        assert_eq!(read(&undo_list(&plan)).unwrap().len(), 2);
    }

    #[test]
    fn a_plan_moves_each_photo_once_to_a_free_name() {
        let dir = tempfile::tempdir().unwrap();
        for photo in ["A/1.jpg", "B/1.jpg", "B/1_2.JPG", "C/1.jpg", "D/noext"] {
            put(dir.path(), photo, photo);
        }
        let hashes = files(dir.path()).into_iter().map(|(path, content)| (path, hash::sha256(content))).collect();
        let to_b = Fix::Relabel { person: "B".into() };
        let findings = [
            finding(&["A/1.jpg", "C/1.jpg"], to_b.clone()),
            finding(&["A/1.jpg", "D/noext"], Fix::Quarantine),
            finding(&["B/1.jpg"], Fix::Look),
            finding(&["unknown.jpg"], to_b),
        ];
        let moves = plan(dir.path(), &findings, &hashes);
        let moves: Vec<(&str, &str)> = moves.iter().map(|m| (m.from.as_str(), m.to.as_str())).collect();
        let expected = if dir.path().join("b").exists() { "B/1_3.jpg" } else { "B/1_2.jpg" };
        assert_eq!(moves[0], ("A/1.jpg", expected));
        assert_eq!(moves[2], ("D/noext", ".bledsoe-quarantine/D/noext"));
        assert_eq!(moves.len(), 3);
        assert_ne!(moves[0].1.to_lowercase(), moves[1].1.to_lowercase());
    }

    #[cfg(unix)]
    #[test]
    fn links_to_relative_paths_stay() {
        let (_dir, folder, plan) = setting();
        fs::rename(folder.join("A/1.jpg"), folder.join("real.jpg")).unwrap();
        std::os::unix::fs::symlink("../real.jpg", folder.join("A/1.jpg")).unwrap();
        let moved = apply(&folder, &plan, &GO_ON).unwrap();
        assert_eq!((moved.moved, moved.failed.len()), (1, 1));
        assert!(folder.join("A/1.jpg").exists());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Whatever the plan and wherever it is stopped, no content is lost, and taking it back restores everything.
        #[test]
        fn no_photo_is_ever_lost(pairs in prop::collection::vec((0usize..6, 0usize..9), 0..8)) {
            let dir = tempfile::tempdir()?;
            let folder = dir.path().join("photos");
            let name = |i: usize| format!("{}/{}.jpg", ["A", "B", "C"][i / 3], i % 3);
            for i in 0..6 {
                put(&folder, &name(i), &format!("content {i}"));
            }
            let before = files(&folder);
            let moves: Vec<Move> =
                pairs.iter().map(|&(from, to)| a_move(&name(from), &name(to), &format!("content {from}"))).collect();
            let list = dir.path().join("plan");
            write(&list, &moves)?;
            if apply(&folder, &list, &GO_ON).is_ok() {
                let contents = |files: &BTreeMap<String, String>| {
                    let mut contents: Vec<String> = files.values().cloned().collect();
                    contents.sort();
                    contents
                };
                prop_assert_eq!(contents(&files(&folder)), contents(&before));
                undo(&folder, &undo_list(&list), &GO_ON)?;
            }
            prop_assert_eq!(files(&folder), before);
        }
    }
}
