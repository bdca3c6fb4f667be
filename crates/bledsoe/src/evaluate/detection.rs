//! Boxes found in photos against the faces that there are: recall, precision, average precision.
//!
//! A detection and a face belong together if the intersection over union of their boxes is at least 0.5 (or as asked), as
//! in Pascal VOC (Everingham et al., "The Pascal Visual Object Classes Challenge: A Retrospective", IJCV 2015). In each
//! photo detections choose in the order of their scores: each takes the free face that it overlaps most. A face that is
//! marked to be ignored neither counts nor punishes.

use serde::Serialize;

use super::{Bootstrap, photos::intervals};
use crate::{Error, Result, geometry::Rect};

/// The bands that faces are counted in by the side of their box in pixels: the square root of its area. Each reaches up
/// to the next one's lower end.
pub const SIZES: [(&str, f64); 4] = [("<32", 0.0), ("32..64", 32.0), ("64..128", 64.0), (">=128", 128.0)];

/// Points of the curve that results hold at most.
const CURVE: usize = 200;
/// A detection with at least this share of its area inside an ignored box belongs to it, however large that is.
const MIN_IGNORED: f64 = 0.5;

/// A face that is truly there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Its box in the photo's pixels.
    pub rect: Rect,
    /// Neither to be found nor to be missed: too small, too blurred, a crowd.
    pub ignore: bool,
}

/// A box that a detector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where, in the photo's pixels.
    pub rect: Rect,
    /// Higher is surer; detections without a finite score are passed over.
    pub score: f64,
}

/// One photo.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PhotoBoxes {
    /// The faces that are there.
    pub truths: Vec<Truth>,
    /// What was found; `None` where the photo could not be searched: its faces are missed.
    pub found: Option<Vec<Found>>,
}

/// What decides the figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// The least intersection over union, above 0 and at most 1.
    pub min_iou: f64,
    /// Recall and precision are of detections with at least this score; the curve and its average precision take all.
    pub min_score: f64,
}

/// What a detection is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Match {
    /// The face of this index, with their intersection over union.
    Face(usize, f64),
    /// On a face to be ignored.
    Ignored,
    /// No face, or one that a surer detection has taken.
    Wrong,
}

/// The share of faces found and the average precision, and their intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the recall.
    pub recall: Option<[f64; 2]>,
    /// Of the precision; `None` where nothing was found.
    pub precision: Option<[f64; 2]>,
    /// Of the average precision.
    pub average_precision: Option<[f64; 2]>,
}

/// The figures of faces of one size. Detections of this size that are no face count against it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeFigures {
    /// The band: `<32`, `32..64`, `64..128` or `>=128`.
    pub size: &'static str,
    /// Faces of this size.
    pub faces: usize,
    /// Share of them found; `None` without faces.
    pub recall: Option<f64>,
    /// Area under their precision-recall curve; `None` without faces.
    pub average_precision: Option<f64>,
    /// 95 % intervals, photos resampled.
    pub intervals: Intervals,
}

/// A point of the precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The least score taken.
    pub score: f64,
    /// Share of faces found.
    pub recall: f64,
    /// Share of detections that are faces.
    pub precision: f64,
}

/// The figures of a detector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectionFigures {
    /// Photos.
    pub photos: usize,
    /// Photos that could not be searched; their faces count as missed.
    pub failures: usize,
    /// Faces to be found.
    pub faces: usize,
    /// Faces to be ignored.
    pub ignored: usize,
    /// Share of faces found at the least score of the settings.
    pub recall: f64,
    /// Share of detections that are faces, there; `None` if there is none.
    pub precision: Option<f64>,
    /// Detections that are no face, there.
    pub false_alarms: usize,
    /// Mean intersection over union of the faces found, there: how alike the boxes are drawn.
    pub mean_iou: Option<f64>,
    /// Area under the precision-recall curve, with the precision at each recall the best of any larger recall (all
    /// points, as Pascal VOC has it since 2010). Detections of equal scores enter together.
    pub average_precision: f64,
    /// 95 % intervals, photos resampled.
    pub intervals: Intervals,
    /// By the size of faces, ascending.
    pub by_size: Vec<SizeFigures>,
    /// The precision-recall curve, at most 200 points, score descending.
    pub curve: Vec<CurvePoint>,
    /// What decided the figures.
    pub settings: Settings,
}

/// What each detection of one photo is, in their order.
pub fn matches(truths: &[Truth], found: &[Found], min_iou: f64) -> Vec<Match> {
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by(|&a, &b| found[b].score.total_cmp(&found[a].score));
    let mut free: Vec<bool> = truths.iter().map(|truth| !truth.ignore).collect();
    let mut matches = vec![Match::Wrong; found.len()];
    for index in order {
        let rect = &found[index].rect;
        let overlap = |face: usize| Overlap::of(&truths[face].rect, rect);
        let faces = (0..truths.len()).filter(|&face| free[face]).map(|face| (face, overlap(face).iou()));
        // Of equals the first, whatever `max_by` does.
        let best = faces.rev().max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, iou)| *iou >= min_iou);
        let ignored = || {
            let mut overlaps = (0..truths.len()).filter(|&face| truths[face].ignore).map(overlap);
            overlaps.any(|overlap| overlap.iou() >= min_iou || overlap.share_of_second() >= MIN_IGNORED)
        };
        matches[index] = match best {
            Some((face, iou)) => {
                free[face] = false;
                Match::Face(face, iou)
            }
            None if ignored() => Match::Ignored,
            None => Match::Wrong,
        };
    }
    matches
}

/// The figures of a detector over photos.
///
/// # Errors
/// [`Error::Invalid`] when no photo has a face to be found, or the settings are out of range.
pub fn detection(photos: &[PhotoBoxes], settings: &Settings, bootstrap: &Bootstrap) -> Result<DetectionFigures> {
    let &Settings { min_iou, min_score } = settings;
    if !(min_iou > 0.0 && min_iou <= 1.0) {
        return Err(Error::Invalid(format!("least IoU {min_iou}: expected above 0 and at most 1, such as 0.5")));
    }
    if min_score.is_nan() {
        return Err(Error::Invalid("the least score must be a number".into()));
    }
    let mut all = Group::new(photos.len());
    let mut sizes: [Group; SIZES.len()] = std::array::from_fn(|_| Group::new(photos.len()));
    let mut ious = Vec::new();
    for (number, photo) in photos.iter().enumerate() {
        for truth in photo.truths.iter().filter(|truth| !truth.ignore) {
            all.faces[number] += 1;
            sizes[band(&truth.rect)].faces[number] += 1;
        }
        let found: Vec<Found> = photo.found.iter().flatten().filter(|found| found.score.is_finite()).copied().collect();
        for (found, is) in found.iter().zip(matches(&photo.truths, &found, min_iou)) {
            let (size, hit) = match is {
                Match::Face(face, iou) => {
                    if found.score >= min_score {
                        ious.push(iou);
                    }
                    (band(&photo.truths[face].rect), true)
                }
                Match::Wrong => (band(&found.rect), false),
                Match::Ignored => continue,
            };
            let event = Event { score: found.score, photo: number, hit };
            all.events.push(event);
            sizes[size].events.push(event);
        }
    }
    all.sort();
    sizes.iter_mut().for_each(Group::sort);
    let once = vec![1; photos.len()];
    let figures = all.figures(&once, min_score);
    let (Some(recall), Some(average_precision)) = (figures.recall, figures.average_precision) else {
        return Err(Error::Invalid(
            "no face to be found: every photo is without boxes, or all are to be ignored".into(),
        ));
    };
    let groups: Vec<&Group> = std::iter::once(&all).chain(&sizes).collect();
    let drawn = intervals(photos.len(), bootstrap, |times| {
        groups.iter().flat_map(|group| group.figures(times, min_score).list()).collect()
    });
    let mut intervals = drawn.as_chunks::<3>().0.iter().map(|&[recall, precision, average_precision]| Intervals {
        recall,
        precision,
        average_precision,
    });
    let nothing = Intervals { recall: None, precision: None, average_precision: None };
    let of_all = intervals.next().unwrap_or(nothing);
    let by_size = sizes.iter().zip(SIZES).map(|(group, (size, _))| {
        let Figures { recall, average_precision, .. } = group.figures(&once, min_score);
        let faces = group.faces.iter().map(|&n| n as usize).sum();
        SizeFigures { size, faces, recall, average_precision, intervals: intervals.next().unwrap_or(nothing) }
    });
    Ok(DetectionFigures {
        photos: photos.len(),
        failures: photos.iter().filter(|photo| photo.found.is_none()).count(),
        faces: all.faces.iter().map(|&n| n as usize).sum(),
        ignored: photos.iter().flat_map(|photo| &photo.truths).filter(|truth| truth.ignore).count(),
        recall,
        precision: figures.precision,
        false_alarms: all.events.iter().filter(|event| !event.hit && event.score >= min_score).count(),
        mean_iou: (!ious.is_empty()).then(|| ious.iter().sum::<f64>() / ious.len() as f64),
        average_precision,
        by_size: by_size.collect(),
        intervals: of_all,
        curve: all.curve(),
        settings: *settings,
    })
}

/// The band of a box: its index in [`SIZES`].
fn band(rect: &Rect) -> usize {
    let side = (width(rect) * height(rect)).sqrt();
    SIZES.iter().rposition(|(_, from)| side >= *from).unwrap_or(0)
}

fn width(rect: &Rect) -> f64 {
    (f64::from(rect.right) - f64::from(rect.left)).max(0.0)
}

fn height(rect: &Rect) -> f64 {
    (f64::from(rect.bottom) - f64::from(rect.top)).max(0.0)
}

/// Areas of two boxes, in f64: the least IoU is a sharp edge.
struct Overlap {
    common: f64,
    first: f64,
    second: f64,
}

impl Overlap {
    fn of(first: &Rect, second: &Rect) -> Self {
        let common = first.intersection(second);
        let area = |rect: &Rect| width(rect) * height(rect);
        Self { common: area(&common), first: area(first), second: area(second) }
    }

    fn iou(&self) -> f64 {
        let union = self.first + self.second - self.common;
        if union > 0.0 { self.common / union } else { 0.0 }
    }

    fn share_of_second(&self) -> f64 {
        if self.second > 0.0 { self.common / self.second } else { 0.0 }
    }
}

/// A detection that counts.
#[derive(Debug, Clone, Copy)]
struct Event {
    score: f64,
    photo: usize,
    hit: bool,
}

/// Faces and detections that are scored together.
struct Group {
    /// Faces in each photo.
    faces: Vec<u32>,
    /// Best first, once sorted.
    events: Vec<Event>,
}

/// Undefined where there is nothing to count.
struct Figures {
    recall: Option<f64>,
    precision: Option<f64>,
    average_precision: Option<f64>,
}

impl Figures {
    fn list(self) -> [Option<f64>; 3] {
        [self.recall, self.precision, self.average_precision]
    }
}

impl Group {
    fn new(photos: usize) -> Self {
        Self { faces: vec![0; photos], events: Vec::new() }
    }

    fn sort(&mut self) {
        self.events.sort_by(|a, b| b.score.total_cmp(&a.score));
    }

    /// The figures if photo `i` were there `times[i]` times.
    fn figures(&self, times: &[u32], min_score: f64) -> Figures {
        let faces: u64 = self.faces.iter().zip(times).map(|(&faces, &n)| u64::from(faces) * u64::from(n)).sum();
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let (mut sure, mut hits, mut all) = ((0, 0), 0u64, 0u64);
        let mut steps = Vec::new();
        for same in self.events.chunk_by(|a, b| a.score == b.score) {
            for event in same {
                let n = u64::from(times[event.photo]);
                all += n;
                hits += if event.hit { n } else { 0 };
            }
            steps.push((hits, all));
            if same[0].score >= min_score {
                sure = (hits, all);
            }
        }
        // From the last step back, the best precision so far is the best at any larger recall.
        let (mut area, mut best) = (0.0, 0.0f64);
        for (i, &(hits, all)) in steps.iter().enumerate().rev() {
            best = best.max(share(hits, all).unwrap_or(0.0));
            let before = if i > 0 { steps[i - 1].0 } else { 0 };
            area += best * (hits - before) as f64;
        }
        Figures {
            recall: share(sure.0, faces),
            precision: share(sure.0, sure.1),
            average_precision: (faces > 0).then(|| area / faces as f64),
        }
    }

    fn curve(&self) -> Vec<CurvePoint> {
        let faces: u32 = self.faces.iter().sum();
        let (mut hits, mut all) = (0, 0);
        let mut points: Vec<CurvePoint> = Vec::new();
        for same in self.events.chunk_by(|a, b| a.score == b.score) {
            hits += same.iter().filter(|event| event.hit).count();
            all += same.len();
            let (recall, precision) = (hits as f64 / f64::from(faces.max(1)), hits as f64 / all as f64);
            points.push(CurvePoint { score: same[0].score, recall, precision });
        }
        let step = points.len().div_ceil(CURVE).max(1);
        let last = points.len().saturating_sub(1);
        points.into_iter().enumerate().filter(|(i, _)| i % step == step - 1 || *i == last).map(|(_, p)| p).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings { min_iou: 0.5, min_score: 0.5 };

    fn square(left: f32, side: f32) -> Rect {
        Rect { left, top: 0.0, right: left + side, bottom: side }
    }

    fn face(left: f32, side: f32) -> Truth {
        Truth { rect: square(left, side), ignore: false }
    }

    fn found(left: f32, side: f32, score: f64) -> Found {
        Found { rect: square(left, side), score }
    }

    fn score(photos: &[PhotoBoxes]) -> DetectionFigures {
        detection(photos, &SETTINGS, &Bootstrap { replicates: 50, seed: 0 }).unwrap()
    }

    #[test]
    fn each_face_is_found_once_and_by_the_surest() {
        let truths = [face(0.0, 10.0), face(100.0, 10.0)];
        let boxes = [found(1.0, 10.0, 0.6), found(0.0, 10.0, 0.9), found(104.0, 10.0, 0.8), found(50.0, 10.0, 0.7)];
        let is = matches(&truths, &boxes, 0.5);
        // 104 overlaps by 6 of 14 columns: too little.
        assert_eq!(is, [Match::Wrong, Match::Face(0, 1.0), Match::Wrong, Match::Wrong]);
    }

    #[test]
    fn the_threshold_itself_is_enough() {
        // 2 of 4 columns in common.
        let truths = [face(0.0, 3.0)];
        let iou = |left| matches(&truths, &[found(left, 3.0, 1.0)], 0.5)[0];
        assert_eq!(iou(1.0), Match::Face(0, 0.5));
        assert_eq!(iou(1.01), Match::Wrong);
    }

    #[test]
    fn ignored_faces_neither_count_nor_punish() {
        let crowd = Truth { rect: square(200.0, 90.0), ignore: true };
        let photo = PhotoBoxes {
            truths: vec![face(0.0, 10.0), crowd],
            found: Some(vec![found(0.0, 10.0, 0.9), found(210.0, 10.0, 0.95), found(230.0, 10.0, 0.95)]),
        };
        let figures = score(&[photo]);
        assert_eq!((figures.faces, figures.ignored, figures.false_alarms), (1, 1, 0));
        assert_eq!((figures.recall, figures.precision, figures.average_precision), (1.0, Some(1.0), 1.0));
    }

    #[test]
    fn average_precision_by_hand() {
        // Hit, wrong, hit, and one face missed: precision 1 up to recall 1/3, then 2/3 up to recall 2/3.
        let photo = PhotoBoxes {
            truths: vec![face(0.0, 10.0), face(100.0, 40.0), face(300.0, 200.0)],
            found: Some(vec![found(0.0, 10.0, 0.9), found(50.0, 10.0, 0.8), found(100.0, 40.0, 0.3)]),
        };
        let figures = score(&[photo]);
        assert!((figures.average_precision - (1.0 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        // The least score of 0.5 leaves out the last detection.
        assert_eq!((figures.recall, figures.precision, figures.false_alarms), (1.0 / 3.0, Some(0.5), 1));
        let by_size: Vec<_> = figures.by_size.iter().map(|s| (s.faces, s.recall, s.average_precision)).collect();
        let expected =
            [(1, Some(1.0), Some(1.0)), (1, Some(0.0), Some(1.0)), (0, None, None), (1, Some(0.0), Some(0.0))];
        assert_eq!(by_size, expected);
    }

    #[test]
    fn equal_scores_enter_together_whatever_their_order() {
        let boxes = vec![found(50.0, 10.0, 0.9), found(0.0, 10.0, 0.9)];
        let photo = |found: Vec<Found>| PhotoBoxes { truths: vec![face(0.0, 10.0)], found: Some(found) };
        let reversed = boxes.iter().rev().copied().collect();
        assert_eq!(score(&[photo(boxes)]).average_precision, 0.5);
        assert_eq!(score(&[photo(reversed)]).average_precision, 0.5);
    }

    #[test]
    fn a_photo_that_failed_has_its_faces_missed() {
        let good = PhotoBoxes { truths: vec![face(0.0, 10.0)], found: Some(vec![found(0.0, 10.0, 0.9)]) };
        let failed = PhotoBoxes { truths: vec![face(0.0, 10.0)], found: None };
        let figures = score(&[good, failed]);
        assert_eq!((figures.recall, figures.failures, figures.faces), (0.5, 1, 2));
        // Both photos may be drawn twice.
        assert_eq!(figures.intervals.recall, Some([0.0, 1.0]));
    }

    #[test]
    fn nothing_to_find_and_settings_out_of_range_are_errors() {
        let score = |photos: &[PhotoBoxes], min_iou| {
            detection(photos, &Settings { min_iou, ..SETTINGS }, &Bootstrap::default()).map(|f| f.recall)
        };
        let empty = PhotoBoxes { truths: Vec::new(), found: Some(vec![found(0.0, 10.0, 0.9)]) };
        assert!(score(&[empty], 0.5).is_err());
        let photo = PhotoBoxes { truths: vec![face(0.0, 10.0)], found: Some(vec![found(0.0, 10.0, f64::NAN)]) };
        assert_eq!(score(std::slice::from_ref(&photo), 0.5).unwrap(), 0.0);
        for nonsense in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(score(std::slice::from_ref(&photo), nonsense).is_err());
        }
    }
}
