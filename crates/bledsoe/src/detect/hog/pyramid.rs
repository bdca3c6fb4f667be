//! The geometry of dlib's `pyramid_down<6>`, and of `pyramid_down<2>` for upsampling.

use crate::{geometry::Rect, model::dlib::hog::HogDetector};

/// A level is 5/6 of the one before.
const SHRINK: f64 = 5.0 / 6.0;
/// Where a level's pixel centres stand in the one before, in its pixels.
const SHIFT: f64 = 0.3;
/// The same for a photo before and after doubling, right and down.
const DOUBLE_SHIFT: (f64, f64) = (1.25, 0.75);

/// Pixels; less than this never makes three cells.
const LEAST_SIDE: usize = 3;

/// Width and height of the next level.
pub fn smaller(width: usize, height: usize) -> (usize, usize) {
    (5 * width / 6, 5 * height / 6)
}

/// Width and height of a photo after doubling, which dlib pads by a pixel or two.
pub fn doubled(width: usize, height: usize) -> (usize, usize) {
    (2 * width + 2, 2 * height + 1)
}

/// How many levels the pyramid of a photo has.
pub fn levels(model: &HogDetector, mut width: usize, mut height: usize) -> usize {
    // dlib decides by the box of the photo, mapped down and rounded; the levels themselves may be a pixel smaller.
    let (mut right, mut bottom) = (width as f64 - 1.0, height as f64 - 1.0);
    let mut levels = 0;
    loop {
        levels += 1;
        (width, height) = smaller(width, height);
        (right, bottom) = (round((right - SHIFT) * SHRINK), round((bottom - SHIFT) * SHRINK));
        let fits = right + 1.0 >= model.min_layer.0 as f64 && bottom + 1.0 >= model.min_layer.1 as f64;
        if !fits || levels >= model.max_levels || width.min(height) < LEAST_SIDE {
            return levels;
        }
    }
}

/// The box of the window at `row` and `column` of the scores of a level, in the pixels of level 0.
pub fn window(model: &HogDetector, row: usize, column: usize, level: usize) -> Rect {
    let (columns, rows) = model.cells();
    let (left, right) = edges(model, column, columns, level);
    let (top, bottom) = edges(model, row, rows, level);
    Rect { left, top, right, bottom }
}

/// First and last pixel of a window of `length` cells whose filter starts at `position`, along one axis.
fn edges(model: &HogDetector, position: usize, length: usize, level: usize) -> (f32, f32) {
    let (cell, position, length) = (model.cell as i64, position as i64, length as i64);
    let inside = length - 2 * model.padding as i64;
    // The filter's middle cell, in cells of the features with their border of zeros.
    let first = position + length / 2 - inside / 2;
    let pixel = |index: i64| {
        let corner = (index + 1 - (length - 1) / 2) * cell + 1;
        let center = if corner >= 0 { corner + cell / 2 } else { corner - cell / 2 };
        round((0..level).fold(center as f64, |x, _| x / SHRINK + SHIFT)) as f32
    };
    (pixel(first), pixel(first + inside - 1))
}

/// A box of a photo doubled `times` times, in the pixels of the photo.
pub fn undoubled(rect: Rect, times: u32) -> Rect {
    if times == 0 {
        return rect;
    }
    let down = |x: f32, shift: f64| round((0..times).fold(f64::from(x), |x, _| x / 2.0 - shift)) as f32;
    Rect {
        left: down(rect.left, DOUBLE_SHIFT.0),
        top: down(rect.top, DOUBLE_SHIFT.1),
        right: down(rect.right, DOUBLE_SHIFT.0),
        bottom: down(rect.bottom, DOUBLE_SHIFT.1),
    }
}

/// To the nearest whole number, halves up.
fn round(x: f64) -> f64 {
    (x + 0.5).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(padding: usize, min_layer: usize) -> HogDetector {
        HogDetector {
            cell: 8,
            padding,
            window: (80, 80),
            min_layer: (min_layer, min_layer),
            max_levels: 1000,
            max_iou: 0.5,
            max_covered: 1.0,
            filters: Vec::new(),
        }
    }

    #[test]
    fn levels_end_at_the_smallest_side() {
        // 250, 208, 173, 144, 120, 100, 83, 69; the next one has 57.
        assert_eq!(levels(&detector(0, 64), 250, 250), 8);
        assert_eq!(levels(&detector(0, 64), 250, 70), 1);
        assert_eq!(levels(&detector(0, 64), 1, 1), 1);
        assert!(levels(&detector(0, 1), 4000, 3000) < 60, "a file may ask for levels without end");
    }

    #[test]
    fn a_window_is_where_its_cells_are() {
        // The filter's first cell is four cells of zeros, the outermost cell and a pixel away from the photo's corner.
        let rect = window(&detector(0, 64), 4, 5, 0);
        assert_eq!((rect.left, rect.top), (21.0, 13.0));
        assert_eq!((rect.width(), rect.height()), (72.0, 72.0));
        let padded = window(&detector(1, 64), 5, 6, 0);
        assert_eq!((padded.width(), padded.height()), (72.0, 72.0), "the padding is no part of the box");
    }

    #[test]
    fn doubling_and_back_stays_within_a_pixel() {
        let rect = Rect { left: 10.0, top: 20.0, right: 90.0, bottom: 100.0 };
        let twice = Rect { left: 22.5, top: 41.5, right: 182.5, bottom: 201.5 };
        assert_eq!(undoubled(twice, 1), rect);
        assert_eq!(undoubled(rect, 0), rect);
    }
}
