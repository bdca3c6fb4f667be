//! Landmarks by an ensemble of regression trees, as dlib finds them.

use super::{Landmarker, Landmarks};
use crate::{
    Result,
    detect::Detection,
    geometry::{Point, Rect},
    model::dlib::shape::{Pixel, ShapePredictor, Split},
    photo::Photo,
};

/// Side of the square that dlib's HOG detector draws around a face, over the root mean square distance of the face's
/// five points from their mean: median of 1650 LFW faces with CenterFace's points (its standard deviation is 9 %).
const SIDE_OVER_SPREAD: f32 = 3.87;

/// Moves a mean shape onto the face in a cascade of stages (Kazemi and Sullivan 2014). Each stage samples pixels at
/// places that move with the shape so far; each of its trees compares pairs of them and adds a leaf to the shape.
///
/// The predictors expect the boxes of dlib's HOG detector, edges as dlib gives them. A detection that comes with five
/// points is given such a box by these, because other detectors draw theirs differently: on 250 LFW faces the mean
/// distance of 68 landmarks from those in the HOG box falls from 1.9 % of the box's side to 0.8 %, which is also what
/// moving the HOG box itself by 3 pixels makes.
#[derive(Debug, Clone)]
pub struct RegressionTrees {
    id: String,
    predictor: ShapePredictor,
}

impl RegressionTrees {
    /// A landmarker; `id` is what results call it.
    pub fn new(id: &str, predictor: ShapePredictor) -> Self {
        Self { id: id.to_owned(), predictor }
    }

    /// A shape in the box's own measure as landmarks.
    fn in_photo(&self, rect: &Rect, shape: &[f32]) -> Landmarks {
        let points = shape.as_chunks::<2>().0.iter().map(|&place| {
            let [x, y] = in_photo(rect, place);
            Point::new(x as f32, y as f32)
        });
        Landmarks { scheme: self.predictor.scheme(), points: points.collect() }
    }
}

impl Landmarker for RegressionTrees {
    fn id(&self) -> &str {
        &self.id
    }

    fn landmarks(&self, photo: &Photo, detection: &Detection) -> Result<Landmarks> {
        let rect = dlibs_rect(detection);
        Ok(self.in_photo(&rect, &predict(&self.predictor, photo, &rect)))
    }

    /// The mean shape.
    fn guess(&self, detection: &Detection) -> Result<Landmarks> {
        Ok(self.in_photo(&dlibs_rect(detection), &self.predictor.initial))
    }
}

/// The box that dlib's HOG detector would draw.
fn dlibs_rect(detection: &Detection) -> Rect {
    detection.points.as_ref().map_or(detection.rect, square_around)
}

/// The box that dlib's HOG detector would draw around a face with these five points.
fn square_around(points: &[Point; 5]) -> Rect {
    let center =
        Point::new(points.iter().map(|p| p.x).sum::<f32>() / 5.0, points.iter().map(|p| p.y).sum::<f32>() / 5.0);
    let squares = points.iter().map(|p| (p.x - center.x).powi(2) + (p.y - center.y).powi(2));
    let half = SIDE_OVER_SPREAD / 2.0 * (squares.sum::<f32>() / 5.0).sqrt();
    Rect { left: center.x - half, top: center.y - half, right: center.x + half, bottom: center.y + half }
}

/// The shape of the face in the box: x, y of each landmark; the box reaches from 0 to 1. Numbers are rounded where dlib
/// rounds them, so that the landmarks are the same.
fn predict(predictor: &ShapePredictor, photo: &Photo, rect: &Rect) -> Vec<f32> {
    let mut shape = predictor.initial.clone();
    let leaf = shape.len();
    let leaves = 1 << predictor.depth;
    let (mut values, mut reached) = (Vec::new(), Vec::new());
    for stage in &predictor.stages {
        let turn = turn(&predictor.initial, &shape);
        values.clear();
        values.extend(stage.pixels.iter().map(|pixel| grey(photo, in_photo(rect, moved(pixel, turn, &shape)))));
        // All trees first, all leaves after: the leaves are far apart in memory and so can be fetched at once.
        reached.clear();
        let trees = stage.splits.chunks_exact(leaves - 1).enumerate();
        reached.extend(trees.map(|(tree, splits)| tree * leaves + descend(splits, &values)));
        for index in &reached {
            for (s, step) in shape.iter_mut().zip(&stage.leaves[index * leaf..][..leaf]) {
                *s += step;
            }
        }
    }
    shape
}

/// The leaf that the tree leads to.
fn descend(splits: &[Split], values: &[i16]) -> usize {
    let mut node = 0;
    while let Some(split) = splits.get(node) {
        let [a, b] = split.pair.map(|i| values[usize::from(i)]);
        node = 2 * node + 2 - usize::from(a - b > split.threshold);
    }
    node - splits.len()
}

/// Where the pixel is on the shape, whose landmarks have moved and turned against the mean shape.
fn moved(pixel: &Pixel, [cos, sin]: [f32; 2], shape: &[f32]) -> [f32; 2] {
    let [x, y] = pixel.offset;
    let at = 2 * usize::from(pixel.anchor);
    [cos * x - sin * y + shape[at], sin * x + cos * y + shape[at + 1]]
}

/// Rotation and scale of the similarity from one shape to the other (Umeyama 1991), as a complex number.
fn turn(from: &[f32], to: &[f32]) -> [f32; 2] {
    let (from, to) = (from.as_chunks::<2>().0, to.as_chunks::<2>().0);
    let mean = |shape: &[[f32; 2]], k: usize| shape.iter().map(|p| f64::from(p[k])).sum::<f64>() / shape.len() as f64;
    let ([fx, fy], [tx, ty]) = ([mean(from, 0), mean(from, 1)], [mean(to, 0), mean(to, 1)]);
    let (mut re, mut im, mut spread) = (0.0, 0.0, 0.0);
    for (p, q) in from.iter().zip(to) {
        let (px, py) = (f64::from(p[0]) - fx, f64::from(p[1]) - fy);
        let (qx, qy) = (f64::from(q[0]) - tx, f64::from(q[1]) - ty);
        re += px * qx + py * qy;
        im += px * qy - py * qx;
        spread += px * px + py * py;
    }
    [(re / spread) as f32, (im / spread) as f32]
}

/// From the box's own measure to the photo's pixels.
fn in_photo(rect: &Rect, [x, y]: [f32; 2]) -> [f64; 2] {
    let along =
        |share: f32, low: f32, high: f32| f64::from(share) * (f64::from(high) - f64::from(low)) + f64::from(low);
    [along(x, rect.left, rect.right), along(y, rect.top, rect.bottom)]
}

/// The mean of the nearest pixel's channels, rounded down as dlib does; 0 outside the photo.
fn grey(photo: &Photo, [x, y]: [f64; 2]) -> i16 {
    let (x, y) = (x + 0.5, y + 0.5);
    if !(x >= 0.0 && y >= 0.0 && x < f64::from(photo.width()) && y < f64::from(photo.height())) {
        return 0;
    }
    let at = 3 * (y as usize * photo.width() as usize + x as usize);
    photo.rgb()[at..at + 3].iter().map(|&v| i16::from(v)).sum::<i16>() / 3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Store, dlib::shape};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn no_box_makes_it_panic(boxes in prop::collection::vec(any::<[f32; 4]>(), 20)) {
            let predictor = shape::read_compact(&Store::new(None).bytes("landmarks5")?, "landmarks5")?;
            let trees = RegressionTrees::new("landmarks5", predictor);
            let photo = Photo::new(9, 7, vec![100; 3 * 63])?;
            for [left, top, right, bottom] in boxes {
                let detection = Detection { rect: Rect { left, top, right, bottom }, score: 0.0, points: None };
                prop_assert_eq!(trees.landmarks(&photo, &detection)?.points.len(), 5);
            }
        }
    }

    #[test]
    fn the_square_is_centred_on_the_points() {
        let points =
            [[10.0, 10.0], [50.0, 10.0], [30.0, 30.0], [10.0, 50.0], [50.0, 50.0]].map(|[x, y]| Point::new(x, y));
        let square = square_around(&points);
        assert_eq!(square.center(), Point::new(30.0, 30.0));
        assert!((square.width() - square.height()).abs() < 1e-3);
        assert!((square.width() - 3.87 * (4.0f32 * 800.0 / 5.0).sqrt()).abs() < 1e-2);
    }
}
