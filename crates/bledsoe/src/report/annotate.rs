//! A copy of a photo with boxes and names drawn on it.
//!
//! In: a photo, and the faces found in it with what was decided of each. Out: a photo of the same size, to be saved
//! with [`Photo::save`]. The lines and the text are in proportion to the photo. Named faces have a bluish green box,
//! unnamed ones a dashed vermilion one: of Okabe and Ito's palette (*Color Universal Design*, 2008), so that the colour
//! blind can tell them apart, darkened until white text on them is legible.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};

use crate::{geometry::Rect, photo::Photo};

type Rgb = [u8; 3];

const NAMED: Rgb = [0, 116, 84];
const UNNAMED: Rgb = [178, 70, 0];
const WHITE: Rgb = [255; 3];
/// Text smaller than this, in pixels from line to line, cannot be read.
const LEAST_TEXT: f32 = 12.0;

/// A face to be marked.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Where it is, in pixels.
    pub rect: Rect,
    /// Whose it is; none for a stranger.
    pub name: Option<String>,
    /// How probable that is, 0 to 1, where it is known.
    pub probability: Option<f32>,
}

impl Mark {
    fn text(&self) -> String {
        let name = self.name.as_deref().unwrap_or("unknown");
        match self.probability {
            // No number says that it is certain.
            Some(p) if p >= 0.995 => format!("{name} >99 %"),
            Some(p) if p.is_finite() => format!("{name} {:.0} %", 100.0 * p),
            _ => name.to_owned(),
        }
    }
}

/// A copy of the photo with a box around each face and its name beside it. A label never leaves the photo: a name too
/// long for it is cut; characters outside of Latin scripts become `?`.
pub fn annotate(photo: &Photo, marks: &[Mark]) -> Photo {
    let mut canvas = Canvas { width: photo.width(), height: photo.height(), rgb: photo.rgb().to_vec() };
    let side = canvas.width.min(canvas.height) as f32;
    let line = (side / 180.0).round().max(1.0) as i64;
    for mark in marks {
        outline(&mut canvas, mark, line);
    }
    // Labels come last: no box crosses a name.
    let mut taken = Vec::new();
    for mark in marks {
        label(&mut canvas, mark, line, side, &mut taken);
    }
    // The canvas was not resized.
    Photo::new(canvas.width, canvas.height, canvas.rgb).unwrap_or_else(|_| photo.clone())
}

/// A frame of `line` pixels, with a white edge on both sides for photos that have its colour.
fn outline(canvas: &mut Canvas, mark: &Mark, line: i64) {
    let area = canvas.within(mark.rect);
    let edge = (line / 3).max(1);
    canvas.frame(area.grown(edge), edge, WHITE, None);
    canvas.frame(area.grown(-line), edge, WHITE, None);
    match mark.name {
        Some(_) => canvas.frame(area, line, NAMED, None),
        None => {
            canvas.frame(area, line, WHITE, None);
            canvas.frame(area, line, UNNAMED, Some(4 * line));
        }
    }
}

/// The name on a filled ground: above the box, or below or inside it where there is no room; `taken` is where names
/// are.
fn label(canvas: &mut Canvas, mark: &Mark, line: i64, side: f32, taken: &mut Vec<Area>) {
    let mut text: Vec<char> = mark.text().chars().filter(|c| !c.is_control()).collect();
    let (width, height) = (i64::from(canvas.width), i64::from(canvas.height));
    let pad = line.max(2);
    let wanted = (0.22 * mark.rect.width()).clamp((side / 36.0).max(LEAST_TEXT), (side / 18.0).max(LEAST_TEXT));
    let fitting = (width - 2 * pad) as f32 / (text.len().max(1) as f32 * Glyph::ASPECT);
    let size = wanted.min(fitting.max(LEAST_TEXT));
    let room = ((width - 2 * pad) as f32 / (size * Glyph::ASPECT)).floor().max(0.0) as usize;
    if text.len() > room {
        text.truncate(room.saturating_sub(2));
        text.extend(['.', '.'].iter().take(room));
    }
    let wide = (text.len() as f32 * size * Glyph::ASPECT).ceil() as i64 + 2 * pad;
    let high = size.ceil() as i64;
    if wide > width || high > height {
        return;
    }
    let face = canvas.within(mark.rect).grown((line / 3).max(1));
    let left = face.left.clamp(0, width - wide);
    let at = |top: i64| Area { left, top, right: left + wide, bottom: top + high };
    let places =
        [face.top - high, face.bottom, face.top, face.bottom - high].map(|top| at(top.clamp(0, height - high)));
    let free = |place: &&Area| !taken.iter().any(|other| other.meets(place));
    let inside = |top: i64| (0..=height - high).contains(&top);
    // Outside of the box and off other names, if that can be.
    let outside = places[..2].iter().zip([face.top - high, face.bottom]).filter(|(_, top)| inside(*top));
    let place = *outside.map(|(place, _)| place).chain(&places).find(free).unwrap_or(&places[0]);
    taken.push(place);
    canvas.fill(place, if mark.name.is_some() { NAMED } else { UNNAMED });
    for (i, c) in text.into_iter().enumerate() {
        let x = (place.left + pad) as f32 + i as f32 * size * Glyph::ASPECT;
        canvas.draw(&Glyph::of(c), x, place.top as f32, size);
    }
}

/// Whole pixels from `left` and `top` up to before `right` and `bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Area {
    fn grown(self, by: i64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}

struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Canvas {
    /// The pixels of a rectangle; what is out of the photo is moved to its edge.
    fn within(&self, rect: Rect) -> Area {
        let x = |x: f32| ((x + 0.5).round() as i64).clamp(0, self.width.into());
        let y = |y: f32| ((y + 0.5).round() as i64).clamp(0, self.height.into());
        Area { left: x(rect.left), top: y(rect.top), right: x(rect.right), bottom: y(rect.bottom) }
    }

    fn fill(&mut self, area: Area, colour: Rgb) {
        let clip = |from: i64, to: i64, end: u32| from.clamp(0, end.into()) as usize..to.clamp(0, end.into()) as usize;
        let columns = clip(area.left, area.right, self.width);
        for y in clip(area.top, area.bottom, self.height) {
            let row = y * self.width as usize;
            for x in columns.clone() {
                self.rgb[3 * (row + x)..][..3].copy_from_slice(&colour);
            }
        }
    }

    /// The border of an area, inside it; with `dash`, pieces of that length and gaps as long.
    fn frame(&mut self, area: Area, line: i64, colour: Rgb, dash: Option<i64>) {
        if area.left >= area.right || area.top >= area.bottom {
            return;
        }
        let pieces = |from: i64, to: i64| {
            let length = dash.unwrap_or(to - from).max(1);
            (from..to).step_by(2 * length as usize).map(move |at| (at, (at + length).min(to)))
        };
        for (left, right) in pieces(area.left, area.right) {
            self.fill(Area { left, right, top: area.top, bottom: area.top + line }, colour);
            self.fill(Area { left, right, top: area.bottom - line, bottom: area.bottom }, colour);
        }
        for (top, bottom) in pieces(area.top, area.bottom) {
            self.fill(Area { top, bottom, left: area.left, right: area.left + line }, colour);
            self.fill(Area { top, bottom, left: area.right - line, right: area.right }, colour);
        }
    }

    /// A white character, `size` pixels from line to line.
    fn draw(&mut self, glyph: &Glyph, left: f32, top: f32, size: f32) {
        let (right, bottom) = (left + size * Glyph::ASPECT, top + size);
        for y in top.floor() as i64..bottom.ceil() as i64 {
            for x in left.floor() as i64..right.ceil() as i64 {
                if x < 0 || y < 0 || x >= self.width.into() || y >= self.height.into() {
                    continue;
                }
                let cover = glyph.cover((x as f32 - left) / size, (y as f32 - top) / size, 1.0 / size);
                let pixel = &mut self.rgb[3 * (y as usize * self.width as usize + x as usize)..][..3];
                for value in pixel {
                    *value = (f32::from(*value) + cover * (255.0 - f32::from(*value))).round() as u8;
                }
            }
        }
    }
}

/// A character of Noto Sans Mono, bold, as the coverage of 14 x 32 pixels.
struct Glyph(Option<RasterizedChar>);

impl Glyph {
    /// Width of a character for a height of 1.
    const ASPECT: f32 = 14.0 / 32.0;

    fn of(c: char) -> Self {
        let raster = |c| get_raster(c, FontWeight::Bold, RasterHeight::Size32);
        Self(raster(c).or_else(|| raster('?')))
    }

    /// How much of a square of side `step` at (x, y) it covers, 0 to 1; the character is 1 high.
    fn cover(&self, x: f32, y: f32, step: f32) -> f32 {
        const SAMPLES: u8 = 4;
        let mut sum = 0.0;
        for i in 0..SAMPLES {
            for j in 0..SAMPLES {
                let at = |k: u8| (f32::from(k) + 0.5) / f32::from(SAMPLES) * step;
                sum += self.sample(32.0 * (x + at(i)) - 0.5, 32.0 * (y + at(j)) - 0.5);
            }
        }
        sum / f32::from(SAMPLES * SAMPLES)
    }

    /// Its value between the four pixels around (x, y).
    fn sample(&self, x: f32, y: f32) -> f32 {
        let value = |x: f32, y: f32| {
            let inside = x >= 0.0 && y >= 0.0;
            let value = self.0.as_ref().filter(|_| inside).and_then(|raster| raster.pixel(x as usize, y as usize));
            value.map_or(0.0, |value| f32::from(value) / 255.0)
        };
        let (left, top) = (x.floor(), y.floor());
        let (u, v) = (x - left, y - top);
        let above = value(left, top) * (1.0 - u) + value(left + 1.0, top) * u;
        let below = value(left, top + 1.0) * (1.0 - u) + value(left + 1.0, top + 1.0) * u;
        above * (1.0 - v) + below * v
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grey(width: u32, height: u32) -> Photo {
        Photo::new(width, height, vec![128; 3 * width as usize * height as usize]).unwrap()
    }

    fn mark(name: Option<&str>, [left, top, right, bottom]: [f32; 4]) -> Mark {
        Mark { rect: Rect { left, top, right, bottom }, name: name.map(str::to_owned), probability: None }
    }

    fn pixel(photo: &Photo, x: u32, y: u32) -> Rgb {
        photo.rgb()[3 * (y * photo.width() + x) as usize..][..3].try_into().unwrap()
    }

    /// The smallest area that holds all pixels of this colour: left, top, right, bottom.
    fn extent(photo: &Photo, colour: Rgb) -> Option<[u32; 4]> {
        let all = (0..photo.height()).flat_map(|y| (0..photo.width()).map(move |x| (x, y)));
        all.filter(|&(x, y)| pixel(photo, x, y) == colour).fold(None, |extent, (x, y)| {
            let [l, t, r, b] = extent.unwrap_or([x, y, x, y]);
            Some([l.min(x), t.min(y), r.max(x), b.max(y)])
        })
    }

    #[test]
    fn box_and_name_are_drawn_and_nothing_else() {
        let photo = grey(400, 300);
        let drawn = annotate(&photo, &[mark(Some("Ada"), [100.0, 100.0, 200.0, 220.0])]);
        assert_eq!((drawn.width(), drawn.height()), (400, 300));
        // The box, and the name above its left edge.
        let [left, top, right, bottom] = extent(&drawn, NAMED).unwrap();
        assert_eq!((bottom, right), (220, 200));
        assert!(left <= 101 && (70..=90).contains(&top), "{left} {top}");
        assert_eq!(pixel(&drawn, 150, 160), [128; 3]);
        assert_eq!(pixel(&drawn, 300, 50), [128; 3]);
        assert_eq!(extent(&drawn, UNNAMED), None);
        let stranger = annotate(&photo, &[mark(None, [100.0, 100.0, 200.0, 220.0])]);
        assert!(extent(&stranger, UNNAMED).is_some() && extent(&stranger, NAMED).is_none());
        assert_eq!(annotate(&photo, &[]), photo);
    }

    #[test]
    fn labels_stay_inside_and_apart() {
        let photo = grey(400, 300);
        let long = "A very long name indeed, with a title before it and another one after it";
        for rect in [[-50.0, -50.0, 50.0, 50.0], [350.0, 0.0, 450.0, 300.0], [0.0, 0.0, 400.0, 300.0]] {
            let drawn = annotate(&photo, &[mark(Some(long), rect)]);
            // Light text on the label: as many light pixels as letters need.
            let all = (0..300).flat_map(|y| (0..400).map(move |x| (x, y)));
            let light = all.filter(|&(x, y)| pixel(&drawn, x, y)[0] > 180).count();
            assert!(light > 500, "{rect:?}: {light}");
        }
        let mut taken = Vec::new();
        let mut canvas = Canvas { width: 400, height: 300, rgb: photo.rgb().to_vec() };
        for left in [100.0, 110.0, 120.0, 130.0] {
            label(&mut canvas, &mark(Some("Somebody"), [left, 100.0, left + 90.0, 220.0]), 1, 300.0, &mut taken);
        }
        for (i, one) in taken.iter().enumerate() {
            assert!(!taken[..i].iter().any(|other| other.meets(one)), "{taken:?}");
        }
    }

    #[test]
    fn what_the_font_lacks_is_a_question_mark() {
        let photo = grey(200, 200);
        let drawn = |name| annotate(&photo, &[mark(Some(name), [50.0, 50.0, 150.0, 150.0])]);
        assert_eq!(drawn("日\u{7}本"), drawn("??"));
        assert_ne!(drawn("Žofie"), drawn("Zofie"));
    }

    #[test]
    fn probabilities_never_say_that_it_is_certain() {
        let text = |p| Mark { probability: Some(p), ..mark(Some("Ada"), [0.0; 4]) }.text();
        assert_eq!(
            [0.0, 0.936, 0.994, 0.996, 1.0].map(text),
            ["Ada 0 %", "Ada 94 %", "Ada 99 %", "Ada >99 %", "Ada >99 %"]
        );
        assert_eq!(text(f32::NAN), "Ada");
    }

    proptest! {
        #[test]
        fn any_mark_on_any_photo(
            width in 1u32..80, height in 1u32..80,
            rect in proptest::array::uniform4(proptest::num::f32::ANY),
            near in proptest::array::uniform4(-50.0f32..150.0), name: Option<String>,
        ) {
            let photo = grey(width, height);
            let marks = [mark(name.as_deref(), rect), mark(name.as_deref(), near)];
            prop_assert_eq!(annotate(&photo, &marks).rgb().len(), photo.rgb().len());
        }
    }
}
