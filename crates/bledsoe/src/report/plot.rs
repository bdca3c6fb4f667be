//! Small charts as SVG text: curves with interval bands, and histograms.
//!
//! In: numbers, of which any may be missing or not finite. Out: one `<svg>` element, which takes its colours from
//! `style.css`. Series differ in dash as well as in colour, and bear their names, so that they are told apart in print and
//! by colour-blind readers.

use std::fmt::Write;

use super::page::escape;

/// Size of the drawing in its own units; the page scales it. Small, so that 15 units of text are readable on a phone.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 330.0;
/// The border around the plot area: left for tick labels, bottom for those and the axis' name.
const LEFT: f64 = 66.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 52.0;
const RIGHT: f64 = 18.0;
/// Space for the names of series at the right edge, at most.
const NAMES: f64 = 150.0;
/// About the width of a character, and the height of a line.
const CHARACTER: f64 = 8.5;
const LINE: f64 = 18.0;
/// Classes `s0` … of the style sheet.
const STYLES: usize = 6;
/// A logarithmic axis of rates does not go below this.
const SMALLEST_RATE: f64 = 1e-6;
/// Bars of a histogram.
const BINS: usize = 48;

/// How numbers on an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A share from 0 to 1, as per cent.
    Rate,
    /// A whole number from 1.
    Rank,
    /// Any number.
    Score,
}

/// An axis: its name, its range and its ticks.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    name: String,
    unit: Unit,
    log: bool,
    range: [f64; 2],
    ticks: Vec<f64>,
}

impl Axis {
    /// A linear axis over all finite `values`, to the next ticks.
    pub(super) fn linear(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let [mut low, mut high] = span(values).unwrap_or([0.0, 1.0]);
        if unit == Unit::Rate {
            (low, high) = (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0));
        }
        if high - low <= 1e-9 * (1.0 + low.abs().max(high.abs())) {
            let about = if unit == Unit::Rate { 0.05 } else { 0.5 * low.abs().max(1.0) };
            (low, high) = (low - about, high + about);
        }
        let step = nice_step((high - low) / 4.0);
        let (mut first, mut last) = ((low / step + 1e-6).floor(), (high / step - 1e-6).ceil());
        if unit == Unit::Rate {
            (first, last) = (first.max(0.0), last.min((1.0 / step).round()));
        }
        // At most a dozen ticks by the choice of the step; the bound is for numbers at the end of f64's range.
        let ticks: Vec<f64> =
            (0..=((last - first).clamp(1.0, 20.0) as usize)).map(|i| (first + i as f64) * step).collect();
        let range = [first * step, ticks.last().copied().unwrap_or(high)];
        Self { name: name.into(), unit, log: false, range, ticks }
    }

    /// A logarithmic axis over all positive `values`, to the next 1, 2 or 5. Only rates may lie below 1.
    pub(super) fn log(name: &str, unit: Unit, values: impl IntoIterator<Item = f64>) -> Self {
        let [least, most] = if unit == Unit::Rate { [SMALLEST_RATE, 1.0] } else { [1.0, 1e9] };
        let positive = values.into_iter().filter(|v| *v > 0.0).map(|v| v.clamp(least, most));
        let [low, high] = span(positive).unwrap_or(match unit {
            Unit::Rate => [1e-4, 1.0],
            Unit::Rank | Unit::Score => [1.0, 10.0],
        });
        let all = one_two_five(low, high);
        let (low, high) = match (all.first(), all.last()) {
            (Some(&low), Some(&high)) if low < high => (low, high),
            _ if unit == Unit::Rate => (low / 10.0, low),
            _ => (low, 2.0 * low),
        };
        let decades = (high / low).log10();
        let ticks = one_two_five(low, high).into_iter().filter(|t| decades <= 3.5 || is_power_of_ten(*t)).collect();
        Self { name: name.into(), unit, log: true, range: [low, high], ticks }
    }

    /// Where a value lies between the ends of the axis, from 0 to 1; values beyond are put on the ends.
    fn fraction(&self, value: f64) -> f64 {
        let [low, high] = self.range;
        let fraction =
            if self.log { (value.max(low) / low).ln() / (high / low).ln() } else { (value - low) / (high - low) };
        if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The ticks with their labels, on an axis so long that takes `room` for each. Where 1, 2, 5 stand too close, only the
    /// powers of ten are labelled.
    fn labels(&self, length: f64, room: f64) -> impl Iterator<Item = (f64, String)> {
        let close = self.log && length * 2f64.log10() / (self.range[1] / self.range[0]).log10() < room;
        self.ticks.iter().map(move |t| (*t, if close && !is_power_of_ten(*t) { String::new() } else { self.label(*t) }))
    }

    fn label(&self, tick: f64) -> String {
        match self.unit {
            Unit::Rate => format!("{}\u{a0}%", plain(100.0 * tick, 6)),
            Unit::Rank | Unit::Score => plain(tick, 6),
        }
    }
}

/// Whether a tick is 1, 10, 100, 0.1, …
fn is_power_of_ten(tick: f64) -> bool {
    (tick.log10() - tick.log10().round()).abs() < 1e-6
}

/// The smallest and largest finite value.
fn span(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
    // Half of f64's range, so that differences stay finite.
    let finite = values.into_iter().filter(|v| v.abs() < f64::MAX / 4.0);
    finite.fold(None, |span, v| Some(span.map_or([v, v], |[low, high]: [f64; 2]| [low.min(v), high.max(v)])))
}

/// The least of 1, 2 and 5 times a power of ten that is at least `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|m| m * power).find(|s| *s >= step * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// 1, 2 and 5 times powers of ten, from the last at most `low` to the first at least `high`.
fn one_two_five(low: f64, high: f64) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let all: Vec<f64> = (first..=last).flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(e))).collect();
    let from = all.iter().rposition(|t| *t <= low * (1.0 + 1e-9)).unwrap_or(0);
    let to = all.iter().position(|t| *t >= high * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
    all.get(from..=to.max(from)).unwrap_or_default().to_vec()
}

/// A number with at most so many decimals, and no more than it needs.
fn plain(value: f64, decimals: usize) -> String {
    if value != 0.0 && !(1e-5..1e7).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.replace('-', "−") }
}

/// A point of a curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The interval of `y`.
    pub(super) interval: [f64; 2],
}

/// A curve.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Written at its end if there are several, and in the legend.
    pub(super) name: String,
    /// By `x` ascending. Points with a number that is not finite are left out.
    pub(super) points: Vec<Point>,
}

/// A point of note on a curve, with its value beside it.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) label: String,
}

/// The rectangle of the plot, in the drawing's units.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Area {
    fn x(&self, axis: &Axis, value: f64) -> f64 {
        self.left + axis.fraction(value) * (self.right - self.left)
    }

    fn y(&self, axis: &Axis, value: f64) -> f64 {
        self.bottom - axis.fraction(value) * (self.bottom - self.top)
    }
}

/// Curves over two axes, each with a band for its interval. `title` is read to those who do not see the plot.
pub(super) fn curves(title: &str, x: &Axis, y: &Axis, series: &[Series], marks: &[Mark]) -> String {
    let longest = series.iter().map(|s| short(&s.name).chars().count()).max().unwrap_or(0);
    let names = if series.len() > 1 { (longest as f64 * CHARACTER + 12.0).min(NAMES) } else { RIGHT };
    let area = Area { left: LEFT, top: TOP, right: WIDTH - names, bottom: HEIGHT - BOTTOM };
    let mut svg = open(title);
    grid(&mut svg, &area, x, y);
    let drawn: Vec<Vec<Point>> = series.iter().map(|s| visible(&s.points, x)).collect();
    for (i, points) in drawn.iter().enumerate() {
        if points.len() < 2 {
            continue;
        }
        let at = |value: fn(&Point) -> f64| points.iter().map(move |p| (area.x(x, p.x), area.y(y, value(p))));
        let around = at(|p| p.interval[1]).chain(at(|p| p.interval[0]).rev());
        let _ = writeln!(svg, "<path class=\"band s{}\" d=\"{}Z\"/>", i % STYLES, path(around));
    }
    let mut ends = Vec::new();
    for (i, points) in drawn.iter().enumerate() {
        let style = i % STYLES;
        let mut at = points.iter().map(|p| (area.x(x, p.x), area.y(y, p.y)));
        match points.as_slice() {
            [] => {}
            [_] => at.by_ref().for_each(|(x, y)| {
                let _ = writeln!(svg, "<circle class=\"dot s{style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
            }),
            _ => {
                let _ = writeln!(svg, "<path class=\"line s{style}\" d=\"{}\"/>", path(at));
            }
        }
        if let Some(end) = points.last() {
            ends.push((i, area.x(x, end.x), area.y(y, end.y)));
        }
    }
    if series.len() > 1 {
        name_ends(&mut svg, &area, series, ends);
    }
    for mark in marks.iter().filter(|m| m.x.is_finite() && m.y.is_finite()) {
        let (x, y) = (area.x(x, mark.x), area.y(y, mark.y));
        // Below and to the right of a rising curve there is room.
        let (anchor, tx) = if x > area.right - 70.0 { ("end", x - 2.0) } else { ("start", x + 6.0) };
        let _ = writeln!(
            svg,
            "<circle class=\"dot s0\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>\
             <text class=\"value\" text-anchor=\"{anchor}\" x=\"{tx:.1}\" y=\"{:.1}\">{}</text>",
            (y + LINE).min(area.bottom - 4.0),
            escape(&mark.label)
        );
    }
    if drawn.iter().all(Vec::is_empty) {
        nothing(&mut svg, &area);
    }
    svg + "</svg>\n"
}

/// Writes the names of series at their ends, moved apart where they would overlap.
fn name_ends(svg: &mut String, area: &Area, series: &[Series], mut ends: Vec<(usize, f64, f64)>) {
    ends.sort_by(|a, b| a.2.total_cmp(&b.2));
    let mut heights: Vec<f64> = ends.iter().map(|(.., y)| *y).collect();
    for i in 1..heights.len() {
        heights[i] = heights[i].max(heights[i - 1] + LINE);
    }
    let mut limit = area.bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(limit);
        limit = *height - LINE;
    }
    for ((i, x, y), height) in ends.into_iter().zip(heights) {
        let Some(name) = series.get(i).map(|s| short(&s.name)) else { continue };
        let _ = writeln!(
            svg,
            "<path class=\"leader\" d=\"M{x:.1} {y:.1}L{:.1} {height:.1}\"/>\
             <text class=\"name s{}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            area.right + 6.0,
            i % STYLES,
            area.right + 8.0,
            height + 5.0,
            escape(&name)
        );
    }
}

/// A name that fits beside a plot.
fn short(name: &str) -> String {
    let most = (NAMES / CHARACTER) as usize - 2;
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

/// The finite points of a curve. Of those left of the axis (a rate of 0 has no logarithm) the last stays, at its edge.
fn visible(points: &[Point], x: &Axis) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(points.len());
    for point in points.iter().filter(|p| p.x.is_finite() && p.y.is_finite()) {
        let bound = |value: f64| if value.is_finite() { value } else { point.y };
        if kept.last().is_some_and(|last| point.x <= x.range[0] && last.x <= x.range[0]) {
            kept.pop();
        }
        kept.push(Point { interval: point.interval.map(bound), ..*point });
    }
    kept
}

/// What the lines of a plot mean: one entry for each series, and the band.
pub(super) fn legend(names: &[String]) -> String {
    let mut html = String::from("<ul class=\"legend\">");
    for (i, name) in names.iter().enumerate() {
        let _ = write!(
            html,
            "<li><svg viewBox=\"0 0 34 12\" aria-hidden=\"true\"><path class=\"line s{}\" d=\"M1 6L33 6\"/></svg>{}</li>",
            i % STYLES,
            escape(name)
        );
    }
    html + "<li><svg viewBox=\"0 0 34 12\" aria-hidden=\"true\"><path class=\"band s0\" d=\"M1 0L33 0L33 12L1 12Z\"/></svg>95\u{a0}% \
            interval</li></ul>\n"
}

/// Scores of one kind of pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Distribution<'a> {
    /// Written at its peak.
    pub(super) name: &'a str,
    /// Any order; those not finite are left out.
    pub(super) scores: &'a [f64],
}

/// Two distributions of scores, one over the other, each as shares of its own number, and a threshold.
pub(super) fn histogram(title: &str, name: &str, kinds: [Distribution; 2], threshold: f64) -> String {
    let all = kinds.iter().flat_map(|k| k.scores.iter().copied());
    let x = Axis::linear(name, Unit::Score, all.chain([threshold]));
    let shares = kinds.map(|kind| shares(kind.scores, x.range));
    let highest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let y = Axis::linear("share of pairs", Unit::Rate, [0.0, 1.1 * highest]);
    let area = Area { left: LEFT, top: TOP, right: WIDTH - RIGHT, bottom: HEIGHT - BOTTOM };
    let mut svg = open(title);
    grid(&mut svg, &area, &x, &y);
    let width = (area.right - area.left) / BINS as f64;
    let mut peaks = Vec::new();
    for (i, shares) in shares.iter().enumerate() {
        let filled = |bin: &usize| shares.get(*bin).is_some_and(|share| *share > 0.0);
        let (Some(first), Some(last)) = ((0..BINS).find(filled), (0..BINS).rfind(filled)) else { continue };
        let at = |bin: usize| area.left + bin as f64 * width;
        let steps = shares.iter().enumerate().take(last + 1).skip(first).flat_map(|(bin, share)| {
            let y = area.y(&y, *share);
            [(at(bin), y), (at(bin + 1), y)]
        });
        let ends = [first, last + 1].map(|bin| (at(bin), area.bottom));
        let outline: Vec<_> = [ends[0]].into_iter().chain(steps).chain([ends[1]]).collect();
        let outline = path(outline.into_iter());
        let _ =
            writeln!(svg, "<path class=\"area s{i}\" d=\"{outline}Z\"/><path class=\"line s{i}\" d=\"{outline}\"/>");
        if let Some((bin, share)) = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) {
            peaks.push((i, at(bin) + 0.5 * width, area.y(&y, *share) - 6.0));
        }
    }
    if let [first, second] = peaks.as_mut_slice() {
        let half = 0.5 * CHARACTER * kinds.iter().map(|k| k.name.chars().count()).max().unwrap_or(0) as f64;
        if (first.1 - second.1).abs() < 2.0 * half && (first.2 - second.2).abs() < LINE {
            second.2 = if first.2 + LINE < area.bottom { first.2 + LINE } else { first.2 - LINE };
        }
    }
    let line = threshold.is_finite().then(|| area.x(&x, threshold));
    for (i, peak, y) in &peaks {
        let name = kinds[*i].name;
        let half = 0.5 * CHARACTER * name.chars().count() as f64;
        // A name keeps to its own side of the threshold.
        let x = match line {
            Some(line) if (line - peak).abs() < half + 4.0 => line + (half + 4.0).copysign(peak - line),
            _ => *peak,
        };
        let x = x.min(area.right - half).max(area.left + half);
        let _ = writeln!(
            svg,
            "<text class=\"name s{i}\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escape(name)
        );
    }
    if let Some(at) = line {
        let half = 60.0;
        let _ = writeln!(
            svg,
            "<path class=\"threshold\" d=\"M{at:.1} {:.1}L{at:.1} {:.1}\"/>\
             <text class=\"value\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">threshold {}</text>",
            area.top - 4.0,
            area.bottom,
            at.min(area.right - half).max(area.left + half),
            area.top - 9.0,
            plain(threshold, 3)
        );
    }
    if peaks.is_empty() {
        nothing(&mut svg, &area);
    }
    svg + "</svg>\n"
}

/// The share of finite scores in each bin of the range.
fn shares(scores: &[f64], [low, high]: [f64; 2]) -> Vec<f64> {
    let mut counts = vec![0usize; BINS];
    let mut total = 0usize;
    for score in scores.iter().filter(|s| s.is_finite()) {
        let bin = ((score - low) / (high - low) * BINS as f64).clamp(0.0, (BINS - 1) as f64) as usize;
        if let Some(count) = counts.get_mut(bin) {
            *count += 1;
            total += 1;
        }
    }
    counts.into_iter().map(|n| n as f64 / total.max(1) as f64).collect()
}

fn open(title: &str) -> String {
    format!("<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n", escape(title))
}

/// Grid lines, tick labels and names of both axes.
fn grid(svg: &mut String, area: &Area, x: &Axis, y: &Axis) {
    let widest = x.ticks.iter().map(|t| x.label(*t).chars().count()).max().unwrap_or(0) as f64 * CHARACTER;
    for (tick, label) in x.labels(area.right - area.left, widest + 6.0) {
        let at = area.x(x, tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} {:.1}L{at:.1} {:.1}\"/>\
             <text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            area.top,
            area.bottom,
            area.bottom + LINE + 1.0,
            label
        );
    }
    for (tick, label) in y.labels(area.bottom - area.top, LINE + 2.0) {
        let at = area.y(y, tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{:.1} {at:.1}L{:.1} {at:.1}\"/>\
             <text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            area.left,
            area.right,
            area.left - 6.0,
            at + 5.0,
            label
        );
    }
    let _ = writeln!(
        svg,
        "<path class=\"axis\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}\"/>\
         <text class=\"axis-name\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
         <text class=\"axis-name\" x=\"4\" y=\"14\">{}</text>",
        area.left,
        area.top,
        area.left,
        area.bottom,
        area.right,
        area.bottom,
        (area.left + area.right) / 2.0,
        HEIGHT - 8.0,
        escape(&x.name),
        escape(&y.name)
    );
}

fn nothing(svg: &mut String, area: &Area) {
    let (x, y) = ((area.left + area.right) / 2.0, (area.top + area.bottom) / 2.0);
    let _ = writeln!(svg, "<text text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y:.1}\">nothing to show</text>");
}

/// Points as the path through them.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
    }
    path
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
    }

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, interval: [y, y] }
    }

    fn series(name: &str, points: Vec<Point>) -> Series {
        Series { name: name.into(), points }
    }

    #[test]
    fn ticks_are_round_and_enclose_the_values() {
        let axis = Axis::linear("", Unit::Rate, [0.972, 0.999]);
        assert!(near(&axis.ticks, &[0.97, 0.98, 0.99, 1.0]), "{:?}", axis.ticks);
        assert_eq!(axis.label(axis.ticks[1]), "98\u{a0}%");
        let axis = Axis::linear("", Unit::Score, [-0.21, 0.93]);
        assert!(near(&axis.ticks, &[-0.5, 0.0, 0.5, 1.0]), "{:?}", axis.ticks);
        assert_eq!(axis.label(axis.ticks[0]), "−0.5");
        let axis = Axis::log("", Unit::Rate, [3.3e-4, 0.0, 1.0]);
        assert!(near(&axis.range, &[2e-4, 1.0]) && near(&axis.ticks, &[1e-3, 1e-2, 1e-1, 1.0]), "{axis:?}");
        assert_eq!(axis.label(axis.ticks[0]), "0.1\u{a0}%");
        let labels: Vec<_> = axis.labels(400.0, 50.0).map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.1\u{a0}%", "1\u{a0}%", "10\u{a0}%", "100\u{a0}%"]);
        let axis = Axis::log("", Unit::Rate, [0.02, 0.5]);
        let labels = |room| axis.labels(100.0, room).map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(10.0), ["2\u{a0}%", "5\u{a0}%", "10\u{a0}%", "20\u{a0}%", "50\u{a0}%"]);
        assert_eq!(labels(40.0), ["", "", "10\u{a0}%", "", ""]);
        let axis = Axis::log("", Unit::Rank, [1.0, 40.0]);
        assert!(near(&axis.ticks, &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0]), "{:?}", axis.ticks);
    }

    #[test]
    fn a_rate_does_not_leave_0_to_1() {
        for values in [vec![1.0], vec![0.0], vec![0.0, 1.0], vec![0.999_999, 1.0]] {
            let axis = Axis::linear("", Unit::Rate, values.clone());
            assert!(axis.range[0] >= 0.0 && axis.range[1] <= 1.0 + 1e-12, "{values:?} {axis:?}");
            assert!(axis.range[0] < axis.range[1], "{values:?} {axis:?}");
        }
    }

    #[test]
    fn a_point_lands_where_it_must() {
        let x = Axis::log("", Unit::Rate, [1e-4, 1.0]);
        let y = Axis::linear("", Unit::Rate, [0.0, 1.0]);
        let curve = series("", vec![point(0.0, 0.125), point(1e-4, 0.25), point(1e-2, 0.5), point(1.0, 1.0)]);
        let svg = curves("", &x, &y, &[curve], &[]);
        // The plot is from 66 to 462 across and from 278 up to 28; 1e-2 is half way from 1e-4 to 1. A rate of 0 is not on
        // the axis; it gives way to the next point at the edge.
        assert!(svg.contains("<path class=\"line s0\" d=\"M66.0 215.5L264.0 153.0L462.0 28.0\"/>"), "{svg}");
    }

    #[test]
    fn a_curve_beyond_the_axis_begins_at_its_edge() {
        let x = Axis::log("", Unit::Rate, [1e-2, 1.0]);
        let points = visible(&[point(0.0, 0.1), point(1e-3, 0.2), point(0.1, 0.3), point(f64::NAN, 0.4)], &x);
        let at: Vec<_> = points.iter().map(|p| (p.x, p.y)).collect();
        assert_eq!(at, [(1e-3, 0.2), (0.1, 0.3)]);
    }

    #[test]
    fn names_of_curves_that_end_together_do_not_overlap() {
        let x = Axis::linear("", Unit::Score, [0.0, 1.0]);
        let all: Vec<_> = ["a<b", "c", "d"].map(|name| series(name, vec![point(0.0, 0.0), point(1.0, 1.0)])).into();
        let svg = curves("", &x, &x, &all, &[]);
        let heights: Vec<f64> = svg
            .split("class=\"name ")
            .skip(1)
            .map(|text| text.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(heights.len(), 3);
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 0.1), "{heights:?}");
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
    }

    #[test]
    fn a_histogram_shows_shares_and_the_threshold() {
        let (same, different) = ([0.8, 0.9, f64::NAN], [0.0, 0.1, 0.1, 0.2]);
        let kinds = [Distribution { name: "same", scores: &same }, Distribution { name: "other", scores: &different }];
        let svg = histogram("", "similarity", kinds, 0.5);
        assert!(svg.contains("M264.0 24.0L264.0 278.0"), "half way from 0 to 1: {svg}");
        assert!(svg.contains("threshold 0.5<"));
        assert_eq!(shares(&same, [0.0, 1.0]).iter().filter(|s| **s == 0.5).count(), 2);
        let other = shares(&different, [0.0, 1.0]);
        assert_eq!((other[0], other[4], other[9]), (0.25, 0.5, 0.25));
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let axis = Axis::linear("", Unit::Rate, []);
        assert!(curves("", &axis, &axis, &[], &[]).contains("nothing to show"));
        let none = Distribution { name: "none", scores: &[f64::NAN] };
        assert!(histogram("", "", [none, none], f64::NAN).contains("nothing to show"));
    }

    /// All numbers in attributes that are coordinates.
    fn coordinates(svg: &str) -> Vec<f64> {
        let attributes = [" d=\"", " x=\"", " y=\"", " cx=\"", " cy=\""];
        attributes
            .iter()
            .flat_map(|attribute| svg.split(attribute).skip(1))
            .flat_map(|rest| rest.split('"').next().unwrap().split([' ', 'M', 'L', 'Z']))
            .filter(|number| !number.is_empty())
            .map(|number| number.parse().unwrap())
            .collect()
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![6 => -2.0..2.0f64, 3 => 0.0..1.0f64, 1 => proptest::num::f64::ANY, 1 => Just(0.0), 1 => Just(1.0)]
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_drawing_inside_its_frame(
            numbers in proptest::collection::vec([number(), number(), number(), number()], 0..12),
            more in 0..3usize,
            threshold in number(),
            log in any::<bool>(),
            unit in prop_oneof![Just(Unit::Rate), Just(Unit::Rank), Just(Unit::Score)],
        ) {
            let points: Vec<_> = numbers.iter().map(|n| Point { x: n[0], y: n[1], interval: [n[2], n[3]] }).collect();
            let axis = |values: Vec<f64>| if log { Axis::log("", unit, values) } else { Axis::linear("", unit, values) };
            let x = axis(points.iter().map(|p| p.x).collect());
            let y = axis(points.iter().map(|p| p.y).collect());
            prop_assert!(x.ticks.len() <= 25 && y.ticks.len() <= 25, "{x:?} {y:?}");
            let all: Vec<_> = (0..=more).map(|i| series(&"name".repeat(i), points.clone())).collect();
            let marks = [Mark { x: threshold, y: threshold, label: "here".into() }];
            let scores: Vec<f64> = numbers.iter().flatten().copied().collect();
            let (a, b) = scores.split_at(scores.len() / 2);
            let kinds = [Distribution { name: "a", scores: a }, Distribution { name: "b", scores: b }];
            for svg in [curves("", &x, &y, &all, &marks), histogram("", "x", kinds, threshold)] {
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                for n in coordinates(&svg) {
                    prop_assert!((-1.0..=WIDTH + 1.0).contains(&n), "{n} in {svg}");
                }
            }
        }
    }
}
