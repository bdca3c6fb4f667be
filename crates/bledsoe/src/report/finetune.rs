//! The report of a training of an adapter: loss and measure, epoch by epoch.

use std::path::Path;

use super::{
    page::{self, escape},
    plot::{Axis, Mark, Point, Series, Unit, curves},
};
use crate::{
    Result,
    metric::{Course, Epoch, Measure},
};

/// Everything on the page.
pub struct Report<'a> {
    /// How the training went.
    pub course: &'a Course,
    /// One sentence on the outcome, shown first.
    pub summary: String,
    /// Every setting, so that anyone can repeat it.
    pub settings: serde_json::Value,
}

/// Writes the report to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`crate::Error::Io`] when the file cannot be written.
pub fn write(path: &Path, report: &Report<'_>) -> Result<()> {
    page::write(path, &page(report)?)
}

fn page(report: &Report<'_>) -> Result<String> {
    let course = report.course;
    let [photos, people] = course.trained_on.map(page::count);
    let [held_photos, held_people] = course.held_out.map(page::count);
    let unit = match course.measure {
        Measure::TarAtFar { .. } => Unit::Rate,
        Measure::TripletLoss => Unit::Score,
    };
    let figure = |figure: f64| if unit == Unit::Rate { page::percent(figure) } else { format!("{figure:.4}") };
    let measure = course.measure.describe();
    let mark = Mark { x: course.best.epoch as f64, y: course.best.figure, label: figure(course.best.figure) };
    let html = format!(
        "<h2>People held out</h2>\n<p class=\"quiet\">{} of {held_photos} photos of {held_people} people who were not \
         learnt from. Before the first epoch stands the embedder itself; the point is the map that was kept.</p>\n{}\
         <h2>People learnt from</h2>\n<p class=\"quiet\">Mean loss of the batches of {photos} photos of {people} people. Of \
         triplets only those mined count, which are those that are still wrong: their mean need not fall.</p>\n{}{}",
        escape(&measure),
        plot(&measure, unit, &course.curve, |epoch| Some(epoch.figure), &[mark]),
        plot("loss", Unit::Score, &course.curve, |epoch| epoch.loss, &[]),
        page::settings(&report.settings)?,
    );
    Ok(page::page("An adapter was trained", &report.summary, &html))
}

fn plot(name: &str, unit: Unit, curve: &[Epoch], of: impl Fn(&Epoch) -> Option<f64>, marks: &[Mark]) -> String {
    let point = |epoch: &Epoch| of(epoch).map(|y| Point { x: epoch.epoch as f64, y, interval: [y, y] });
    let points: Vec<Point> = curve.iter().filter_map(point).collect();
    let x = Axis::linear("epoch", Unit::Score, points.iter().map(|p| p.x));
    let y = Axis::linear(name, unit, points.iter().map(|p| p.y));
    let title = format!("{name} by epoch");
    curves(&title, &x, &y, &[Series { name: name.to_owned(), points }], marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_both_curves_and_what_was_kept() {
        let epoch = |epoch: usize, loss, figure| Epoch { epoch, loss, figure };
        let course = Course {
            best: epoch(1, Some(0.5), 0.8125),
            threshold: None,
            curve: vec![epoch(0, None, 0.7), epoch(1, Some(0.5), 0.8125), epoch(2, Some(0.4), 0.8)],
            measure: Measure::TarAtFar { far: 1e-3 },
            trained_on: [1200, 30],
            held_out: [300, 8],
            stopped: false,
            seconds_per_epoch: None,
        };
        let settings = serde_json::json!({ "seed": 42 });
        let html = page(&Report { course: &course, summary: "Better <now>.".into(), settings }).unwrap();
        for part in
            ["Better &lt;now&gt;.", "81.25\u{a0}%", "TAR at FAR 1e-3 of 300", "1,200 photos of 30", "\"seed\": 42"]
        {
            assert!(html.replace("&quot;", "\"").contains(part), "{part}");
        }
        assert_eq!(html.matches("<svg").count(), 2);
    }
}
