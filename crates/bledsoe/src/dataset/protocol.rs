//! Protocols of verification: which pairs of photos to compare. In: LFW's own text files, or a CSV. Out: [`Pair`]s.
//!
//! The formats of LFW are those of its README (Huang et al., UMass Amherst TR 07-49, 2007): a first line with the number
//! of pairs, then `name⇥i⇥j` for two photos of one person and `name⇥i⇥name⇥j` for different people.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::csv;
use crate::{Error, Result, components::Components};

/// Two photos to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The first photo, below the folder of images, with `/` between folders.
    pub a: String,
    /// The second photo.
    pub b: String,
    /// Whether they truly show one person.
    pub same: bool,
    /// The fold, from 0 in LFW's files, as written in a CSV; 0 where there are none.
    pub fold: u32,
    /// Names of the people of `a` and `b`: for resampling, not for showing who it is.
    pub people: [String; 2],
}

/// A protocol, with where its photos are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairProtocol {
    /// The file it was read from.
    pub file: PathBuf,
    /// The folder that the photos' paths are below.
    pub images: PathBuf,
    /// All pairs, in the file's order.
    pub pairs: Vec<Pair>,
    /// How many different folds there are, 1 where the file has none.
    pub folds: usize,
    /// Where the names of people come from.
    pub people_from: PeopleFrom,
}

/// How it is known which photos show one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeopleFrom {
    /// The protocol names them.
    Protocol,
    /// Photos in one folder are of one person; so are folders that a pair calls the same.
    Folders,
    /// A pair of different people lies in one folder, or a photo in none: only photos that pairs call the same are known
    /// to be of one person.
    Pairs,
}

/// A line of LFW's `people.txt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name, as folders are called.
    pub name: String,
    /// How many photos there are.
    pub images: u32,
    /// The fold, from 0.
    pub fold: u32,
}

/// The views of LFW.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum View {
    /// For choosing models and settings: `pairsDevTest.txt`, 1,000 pairs.
    #[serde(rename = "1")]
    Development,
    /// For reporting only: `pairs.txt`, 6,000 pairs in ten folds.
    #[serde(rename = "2")]
    Reporting,
}

impl View {
    /// The file of its pairs.
    pub fn file(self) -> &'static str {
        match self {
            Self::Development => "pairsDevTest.txt",
            Self::Reporting => "pairs.txt",
        }
    }
}

/// Finds LFW below `root`: photos in `root/images` or `root` itself, the file of pairs beside `images` (in `root`) or in
/// `root/protocols`.
///
/// # Errors
/// [`Error::Invalid`] where photos or pairs are not found, saying where it looked; as [`parse_lfw_pairs`].
pub fn lfw(root: &Path, view: View) -> Result<PairProtocol> {
    let places = [root.join(view.file()), root.join("protocols").join(view.file())];
    let Some(file) = places.iter().find(|place| place.is_file()) else {
        let [beside, below] = places.map(|place| place.display().to_string());
        return Err(Error::Invalid(format!("LFW's pairs not found: neither {beside} nor {below} is a file")));
    };
    let pairs = parse_lfw_pairs(&read(file)?, file)?;
    let folders = [root.join("images"), root.to_owned()];
    let Some(images) = folders.iter().find(|folder| pairs.iter().any(|pair| folder.join(&pair.a).is_file())) else {
        let [images, root] = folders.map(|folder| folder.display().to_string());
        let example = pairs.first().map_or("", |pair| &pair.a);
        return Err(Error::Invalid(format!("LFW's photos not found: {example} is neither in {images} nor in {root}")));
    };
    Ok(PairProtocol {
        file: file.clone(),
        images: images.clone(),
        folds: folds(&pairs),
        pairs,
        people_from: PeopleFrom::Protocol,
    })
}

/// Reads a protocol of your own: a CSV with the columns `image_a`, `image_b`, `same` and, if you like, `fold`. See
/// [`parse_pairs_csv`].
///
/// # Errors
/// [`Error::Io`]; as [`parse_pairs_csv`].
pub fn csv(file: &Path, images: &Path) -> Result<PairProtocol> {
    let (pairs, people_from) = parse_pairs_csv(&read(file)?, file)?;
    Ok(PairProtocol { file: file.to_owned(), images: images.to_owned(), folds: folds(&pairs), pairs, people_from })
}

fn folds(pairs: &[Pair]) -> usize {
    pairs.iter().map(|pair| pair.fold).collect::<BTreeSet<_>>().len()
}

fn read(file: &Path) -> Result<String> {
    let bytes = fs::read(file).map_err(|e| Error::io(file, e))?;
    String::from_utf8(bytes).map_err(|_| Error::format(file, "is not text in UTF-8"))
}

/// Reads `pairs.txt` (first line: folds and pairs of each kind in a fold) or `pairsDevTrain.txt`, `pairsDevTest.txt`
/// (first line: pairs of each kind). `file` is for errors.
///
/// # Errors
/// [`Error::Format`] naming the line: wrong numbers, names that are no folder names, other pairs than the first line
/// promises.
pub fn parse_lfw_pairs(text: &str, file: &Path) -> Result<Vec<Pair>> {
    let mut lines = Lines::new(text, file);
    let header = lines.next()?;
    let (folds, each) = match header.fields[..] {
        [each] => (1, header.number("number of pairs", each)?),
        [folds, each] => (header.number("number of folds", folds)?, header.number("number of pairs", each)?),
        _ => return Err(header.wrong("expected the number of pairs, or those of folds and pairs")),
    };
    let mut pairs = Vec::new();
    for fold in 0..folds {
        for same in [true, false] {
            for _ in 0..each {
                let line = lines.next()?;
                let (first, second) = match line.fields[..] {
                    [name, i, j] if same => ((name, i), (name, j)),
                    [name, i, other, j] if !same && name != other => ((name, i), (other, j)),
                    _ if same => return Err(line.wrong("expected a pair of one person: name, number, number")),
                    _ => return Err(line.wrong("expected a pair of two people: name, number, name, number")),
                };
                let (a, b) = (line.photo(first.0, first.1)?, line.photo(second.0, second.1)?);
                pairs.push(Pair { a, b, same, fold, people: [first.0.to_owned(), second.0.to_owned()] });
            }
        }
    }
    lines.end()?;
    Ok(pairs)
}

/// Reads `people.txt` (first line: folds; before each fold its number of people) or `peopleDevTrain.txt`,
/// `peopleDevTest.txt` (first line: number of people). `file` is for errors.
///
/// # Errors
/// [`Error::Format`] naming the line.
pub fn parse_lfw_people(text: &str, file: &Path) -> Result<Vec<Person>> {
    let mut lines = Lines::new(text, file);
    let header = lines.next()?;
    let [count] = header.fields[..] else { return Err(header.wrong("expected one number")) };
    let count = header.number("number", count)?;
    let mut people = Vec::new();
    let mut fold_of = |lines: &mut Lines<'_>, fold, count| {
        for _ in 0..count {
            let line = lines.next()?;
            let [name, images] = line.fields[..] else { return Err(line.wrong("expected a name and a number")) };
            line.photo(name, images)?;
            people.push(Person { name: name.to_owned(), images: line.number("number of photos", images)?, fold });
        }
        Ok(())
    };
    // The number of folds is followed by another number, that of people by a name.
    if lines.peek().is_some_and(|fields| fields.len() == 1) {
        for fold in 0..count {
            let size = lines.next()?;
            let [people] = size.fields[..] else { return Err(size.wrong("expected the number of people in the fold")) };
            let people = size.number("number of people", people)?;
            fold_of(&mut lines, fold, people)?;
        }
    } else {
        fold_of(&mut lines, 0, count)?;
    }
    lines.end()?;
    Ok(people)
}

/// The lines of one of LFW's files that are not blank.
struct Lines<'a> {
    lines: std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>,
    file: &'a Path,
}

struct Line<'a> {
    number: usize,
    fields: Vec<&'a str>,
    file: &'a Path,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, file: &'a Path) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = Self { lines: text.lines().enumerate().peekable(), file };
        lines.pass_blank();
        lines
    }

    fn pass_blank(&mut self) {
        while self.lines.next_if(|(_, line)| line.trim().is_empty()).is_some() {}
    }

    fn peek(&mut self) -> Option<Vec<&'a str>> {
        self.lines.peek().map(|(_, line)| line.split_whitespace().collect())
    }

    fn next(&mut self) -> Result<Line<'a>> {
        let (at, line) = self
            .lines
            .next()
            .ok_or_else(|| Error::format(self.file, "ends early: it has fewer lines than its numbers promise"))?;
        self.pass_blank();
        Ok(Line { number: at + 1, fields: line.split_whitespace().collect(), file: self.file })
    }

    fn end(mut self) -> Result<()> {
        match self.lines.next() {
            Some((at, _)) => {
                Err(Error::format(self.file, format!("line {}: more lines than its numbers promise", at + 1)))
            }
            None => Ok(()),
        }
    }
}

impl Line<'_> {
    fn wrong(&self, reason: &str) -> Error {
        Error::format(self.file, format!("line {}: {reason}", self.number))
    }

    fn number(&self, what: &str, text: &str) -> Result<u32> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(self.wrong(&format!("{what} {text:?}: expected a whole number above 0"))),
        }
    }

    /// `name/name_0001.jpg`.
    fn photo(&self, name: &str, number: &str) -> Result<String> {
        if name.contains(['/', '\\']) || name.starts_with('.') {
            return Err(self.wrong(&format!("{name:?} is no name of a folder")));
        }
        Ok(format!("{name}/{name}_{:04}.jpg", self.number("number of the photo", number)?))
    }
}

/// Reads pairs from a CSV with the columns `image_a`, `image_b`, `same` and, if you like, `fold`, in any order.
///
/// - `image_a`, `image_b`: paths below the folder of images; `\` counts as `/`.
/// - `same`: `1`, `true` or `same` for one person, `0`, `false` or `different` for two.
/// - `fold`: a whole number from 0.
///
/// A photo's person is the folder it lies in, unless the pairs contradict that ([`PeopleFrom`]). `file` is for errors.
///
/// # Errors
/// [`Error::Format`] naming line and column.
pub fn parse_pairs_csv(text: &str, file: &Path) -> Result<(Vec<Pair>, PeopleFrom)> {
    const COLUMNS: &str = "expected the columns image_a, image_b, same and perhaps fold";
    let table = csv::parse(text, file)?;
    let mut columns: BTreeMap<String, usize> = BTreeMap::new();
    for (i, name) in table.header.iter().enumerate() {
        let name = name.to_lowercase();
        let known = ["image_a", "image_b", "same", "fold"].contains(&name.as_str());
        if !known || columns.insert(name, i).is_some() {
            let what = if known { "is there twice" } else { "is not known" };
            return Err(Error::format(file, format!("line 1: the column {:?} {what}: {COLUMNS}", table.header[i])));
        }
    }
    let column = |name: &str| {
        let missing = || Error::format(file, format!("line 1: there is no column {name}: {COLUMNS}"));
        columns.get(name).copied().ok_or_else(missing)
    };
    let (image_a, image_b, same) = (column("image_a")?, column("image_b")?, column("same")?);
    let fold = columns.get("fold").copied();
    let mut pairs = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let wrong = |column: &str, text: &str, expected: &str| {
            Error::format(file, format!("line {}, {column} {text:?}: expected {expected}", row.line))
        };
        let path = |column: usize, name: &str| {
            let expected = "a path of a photo below the folder of images, without `..`";
            relative(&row.fields[column]).ok_or_else(|| wrong(name, &row.fields[column], expected))
        };
        let said = &row.fields[same];
        let same = match said.to_lowercase().as_str() {
            "1" | "true" | "same" => true,
            "0" | "false" | "different" => false,
            _ => return Err(wrong("same", said, "1 or 0 (or true, false, same, different)")),
        };
        let number = |column: usize| {
            let text = &row.fields[column];
            text.parse().map_err(|_| wrong("fold", text, "a whole number from 0"))
        };
        pairs.push(Pair {
            a: path(image_a, "image_a")?,
            b: path(image_b, "image_b")?,
            same,
            fold: fold.map_or(Ok(0), number)?,
            people: Default::default(),
        });
    }
    if pairs.is_empty() {
        return Err(Error::format(file, "has no pairs"));
    }
    let people_from = name_people(&mut pairs);
    Ok((pairs, people_from))
}

/// The path with `/` between its parts; `None` if it is empty or leads out of its folder.
fn relative(path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    let absolute = path.starts_with('/') || path.as_bytes().get(1) == Some(&b':');
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!absolute && !parts.is_empty() && !parts.contains(&"..") && !path.ends_with('/')).then(|| parts.join("/"))
}

/// Fills in the people of pairs.
fn name_people(pairs: &mut [Pair]) -> PeopleFrom {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let by_folder: Option<Vec<[String; 2]>> = pairs
        .iter()
        .map(|pair| Some([folder(&pair.a)?, folder(&pair.b)?]).filter(|[a, b]| pair.same || a != b))
        .collect();
    let people_from = if by_folder.is_some() { PeopleFrom::Folders } else { PeopleFrom::Pairs };
    let keys = by_folder.unwrap_or_else(|| pairs.iter().map(|pair| [pair.a.clone(), pair.b.clone()]).collect());
    let names: Vec<&String> = keys.iter().flatten().collect::<BTreeSet<_>>().into_iter().collect();
    let place = |name: &String| names.partition_point(|n| *n < name);
    let mut components = Components::new(names.len());
    for (pair, [a, b]) in pairs.iter().zip(&keys) {
        if pair.same {
            components.link(place(a), place(b));
        }
    }
    for (pair, key) in pairs.iter_mut().zip(&keys) {
        pair.people = [0, 1].map(|side: usize| names[components.find(place(&key[side]))].clone());
    }
    people_from
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "pairs.txt";

    fn lfw_pairs(text: &str) -> Result<Vec<Pair>> {
        parse_lfw_pairs(text, Path::new(FILE))
    }

    fn says<T>(result: Result<T>, what: &str) {
        let error = result.err().unwrap();
        assert!(matches!(error, Error::Format { .. }) && error.to_string().contains(what), "{error}");
    }

    #[test]
    fn lfw_pairs_of_both_views() {
        let pairs = lfw_pairs("2\t1\nAda\t1\t4\nAda\t1\tBob\t12\n\r\nBob\t3\t1\r\nCarl\t1\tEve\t2\r\n").unwrap();
        let listed: Vec<_> = pairs.iter().map(|p| (p.a.as_str(), p.b.as_str(), p.same, p.fold)).collect();
        assert_eq!(
            listed,
            [
                ("Ada/Ada_0001.jpg", "Ada/Ada_0004.jpg", true, 0),
                ("Ada/Ada_0001.jpg", "Bob/Bob_0012.jpg", false, 0),
                ("Bob/Bob_0003.jpg", "Bob/Bob_0001.jpg", true, 1),
                ("Carl/Carl_0001.jpg", "Eve/Eve_0002.jpg", false, 1),
            ]
        );
        assert_eq!(pairs[1].people, ["Ada", "Bob"]);
        assert_eq!(lfw_pairs("1\nAda\t1\t4\nAda\t1\tBob\t12\n").unwrap()[1].fold, 0);
    }

    #[test]
    fn wrong_pairs_are_named_by_line() {
        says(lfw_pairs(""), "pairs.txt: ends early");
        says(lfw_pairs("x"), "line 1: number of pairs \"x\"");
        says(lfw_pairs("10 300 3"), "line 1: expected the number of pairs");
        says(lfw_pairs("4000000000 4000000000\nA 1 2"), "ends early");
        says(lfw_pairs("1\nA 1 2\n"), "ends early");
        says(lfw_pairs("1\n\nA 1 B 2\nA 1 2"), "line 3: expected a pair of one person");
        says(lfw_pairs("1\nA 1 2\nA 1 2"), "line 3: expected a pair of two people");
        says(lfw_pairs("1\nA 1 2\nA 1 A 2"), "line 3: expected a pair of two people");
        says(lfw_pairs("1\nA 1 2\nA 1 B 2\n\nB 1 2"), "line 5: more lines");
        says(lfw_pairs("1\nA 0 2\nA 1 B 2"), "line 2: number of the photo \"0\"");
        says(lfw_pairs("1\n../A 1 2\nA 1 B 2"), "line 2: \"../A\" is no name of a folder");
        says(lfw_pairs("1\n.. 1 2\nA 1 B 2"), "line 2: \"..\" is no name of a folder");
    }

    #[test]
    fn lfw_people_with_and_without_folds() {
        let people = |text| parse_lfw_people(text, Path::new("people.txt"));
        let person = |name: &str, images, fold| Person { name: name.into(), images, fold };
        assert_eq!(
            people("2\n1\nAda\t3\n2\nBob\t1\nEve\t2\n").unwrap(),
            [person("Ada", 3, 0), person("Bob", 1, 1), person("Eve", 2, 1)]
        );
        assert_eq!(people("2\nAda\t3\nBob\t1\n").unwrap(), [person("Ada", 3, 0), person("Bob", 1, 0)]);
        says(people("2\nAda\t3\n"), "people.txt: ends early");
        says(people("1\nAda\n"), "line 2: number of people \"Ada\"");
        says(people("1\nAda x\n"), "line 2: number of the photo \"x\"");
    }

    #[test]
    fn lfw_is_found_in_both_layouts() {
        let make = |pairs: &str, photo: &str| {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in [(pairs, "1\nAda 1 2\nAda 1 Bob 1\n"), (photo, "x")] {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            root
        };
        let root = make("protocols/pairsDevTest.txt", "images/Ada/Ada_0001.jpg");
        let found = lfw(root.path(), View::Development).unwrap();
        assert_eq!((found.images, found.pairs.len(), found.folds), (root.path().join("images"), 2, 1));
        let error = lfw(root.path(), View::Reporting).unwrap_err().to_string();
        assert!(error.contains("protocols/pairs.txt") && error.contains("neither"), "{error}");
        let root = make("pairs.txt", "Ada/Ada_0001.jpg");
        let found = lfw(root.path(), View::Reporting).unwrap();
        assert_eq!((found.images.as_path(), found.file), (root.path(), root.path().join("pairs.txt")));
        let root = make("pairs.txt", "elsewhere/Ada_0001.jpg");
        let error = lfw(root.path(), View::Reporting).unwrap_err().to_string();
        assert!(error.contains("Ada/Ada_0001.jpg is neither in") && error.contains("images"), "{error}");
    }

    #[test]
    fn lfws_own_files_are_read() {
        let given = std::env::var_os("BLEDSOE_DATASETS").map(PathBuf::from);
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/datasets");
        let root = given.unwrap_or(beside).join("lfw");
        if !root.is_dir() {
            crate::skipped(format_args!("lfws_own_files_are_read: no LFW; set BLEDSOE_DATASETS"));
            return;
        }
        for (view, pairs, folds) in [(View::Development, 1000, 1), (View::Reporting, 6000, 10)] {
            let found = lfw(&root, view).unwrap();
            assert_eq!((found.pairs.len(), found.folds), (pairs, folds));
            assert_eq!(found.pairs.iter().filter(|pair| pair.same).count(), pairs / 2);
            let photos = || found.pairs.iter().flat_map(|pair| [&pair.a, &pair.b]);
            assert_eq!(photos().find(|photo| !found.images.join(photo).is_file()), None);
        }
        let text = |name: &str| read(&root.join("protocols").join(name)).unwrap();
        let file = Path::new(FILE);
        assert_eq!(parse_lfw_pairs(&text("pairsDevTrain.txt"), file).unwrap().len(), 2200);
        for (name, people, folds) in
            [("people.txt", 5749, 10), ("peopleDevTest.txt", 1711, 1), ("peopleDevTrain.txt", 4038, 1)]
        {
            let found = parse_lfw_people(&text(name), file).unwrap();
            assert_eq!((found.len(), found.iter().map(|p| p.fold).max()), (people, Some(folds - 1)), "{name}");
        }
    }

    fn csv_pairs(text: &str) -> Result<(Vec<Pair>, PeopleFrom)> {
        parse_pairs_csv(text, Path::new("my.csv"))
    }

    #[test]
    fn csv_pairs_take_people_from_folders() {
        let text = "Same,image_b,image_a,fold\n1,a/2.jpg,./a/1.jpg,2\n\n0,\"b/1,x.jpg\",a\\1.jpg,7\nDifferent,c/1.png,a/1.jpg,2\nTRUE,d/1.png,c/1.png,2\n";
        let (pairs, from) = csv_pairs(text).unwrap();
        let listed: Vec<_> = pairs.iter().map(|p| (p.a.as_str(), p.b.as_str(), p.same, p.fold)).collect();
        assert_eq!(
            listed,
            [
                ("a/1.jpg", "a/2.jpg", true, 2),
                ("a/1.jpg", "b/1,x.jpg", false, 7),
                ("a/1.jpg", "c/1.png", false, 2),
                ("c/1.png", "d/1.png", true, 2),
            ]
        );
        assert_eq!((from, folds(&pairs)), (PeopleFrom::Folders, 2));
        assert_eq!((&pairs[1].people, &pairs[3].people), (&["a".into(), "b".into()], &["c".into(), "c".into()]));
    }

    #[test]
    fn people_are_told_by_pairs_where_folders_do_not() {
        for folder in ["", "all/"] {
            let row = |a: u32, b: u32, same: &str| format!("{folder}{a}.jpg,{folder}{b}.jpg,{same}\n");
            let rows = [row(1, 2, "1"), row(2, 3, "same"), row(4, 3, "0")].concat();
            let (pairs, from) = csv_pairs(&format!("image_a,image_b,same\n{rows}")).unwrap();
            let name = |n: u32| format!("{folder}{n}.jpg");
            assert_eq!(from, PeopleFrom::Pairs);
            assert_eq!(pairs[1].people, [name(1), name(1)]);
            assert_eq!(pairs[2].people, [name(4), name(1)]);
        }
    }

    #[test]
    fn wrong_csv_pairs_are_named_by_line_and_column() {
        says(csv_pairs("image_a,same\n"), "my.csv: line 1: there is no column image_b");
        says(csv_pairs("image_a,image_b,same,flod\n"), "line 1: the column \"flod\" is not known");
        says(csv_pairs("image_a,image_b,same,same\n"), "line 1: the column \"same\" is there twice");
        says(csv_pairs("image_a,image_b,same\n"), "has no pairs");
        let row = |row: &str| csv_pairs(&format!("image_a,image_b,same,fold\n\n{row}\n"));
        says(row("a/1.jpg,b/1.jpg,maybe,0"), "line 3, same \"maybe\": expected 1 or 0");
        says(row("a/1.jpg,b/1.jpg,1,-1"), "line 3, fold \"-1\"");
        says(row("a/1.jpg,b/1.jpg,1"), "line 3: 3 fields");
        for path in ["", "/a/1.jpg", "../a/1.jpg", "a/../1.jpg", "a/", "c:\\1.jpg", "."] {
            says(row(&format!("a/1.jpg,{path},1,0")), "line 3, image_b");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[AB1230\\./ ,\t\n\"]{0,60}") {
            let _ = lfw_pairs(&text);
            let _ = parse_lfw_people(&text, Path::new(FILE));
            let _ = csv_pairs(&format!("image_a,image_b,same\n{text}"));
        }
    }
}
