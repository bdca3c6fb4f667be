//! The page of a verification protocol: are two photos of one person?

use std::path::Path;

use super::{About, Failure, PicturePair, Tile, about, failures, figure, pairs, rate, rates, tiles};
use crate::{
    Result,
    evaluate::verification::{FoldsFrom, Verification},
    report::{
        page::{self, count, escape, estimate, percent, percents, similarity, table},
        plot::{Axis, Distribution, Mark, Point, Series, Unit, curves, histogram, legend},
    },
};

/// The headline's TAR is at the first of these false accept rates that was measured.
const HEADLINE_FARS: [&str; 4] = ["1e-3", "1e-2", "1e-1", "1e-4"];

/// Everything on the page.
#[derive(Debug, Clone)]
pub struct VerificationPage {
    /// What was measured, and how to repeat it.
    pub about: About,
    /// The figures.
    pub result: Verification,
    /// Scores of the pairs of one person, for the histogram; any order.
    pub same_scores: Vec<f64>,
    /// Scores of the pairs of different people.
    pub different_scores: Vec<f64>,
    /// The threshold drawn in the histogram and by which errors were chosen.
    pub threshold: f64,
    /// Where that threshold comes from: `the mean of the folds' thresholds`.
    pub threshold_origin: String,
    /// Different people taken for one, the most similar first.
    pub false_matches: Vec<PicturePair>,
    /// One person taken for two, the least similar first.
    pub false_non_matches: Vec<PicturePair>,
    /// Photos in which no face was found.
    pub failures: Vec<Failure>,
    /// The same figures by group; may be empty.
    pub groupings: Vec<Grouping>,
}

/// A way to divide the pairs into groups, such as gender.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouping {
    /// What the groups differ in: `gender`.
    pub label: String,
    /// The groups and their figures, in the order shown.
    pub groups: Vec<(String, Verification)>,
}

/// Writes the page to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written, [`Error::Photo`](crate::Error::Photo) when a picture
/// cannot be encoded.
pub fn write(path: &Path, page: &VerificationPage) -> Result<()> {
    page::write(path, &html(page)?)
}

fn html(page: &VerificationPage) -> Result<String> {
    let result = &page.result;
    let mut body = headline(result);
    body += "<div class=\"charts\">\n";
    body += &roc(result);
    body += &scores(page);
    body += "</div>\n";
    body += "<div class=\"columns\">\n";
    body += &accepted(result);
    body += &folds(result);
    body += "</div>\n";
    body +=
        &pairs("Worst false matches", "Different people taken for one, the most similar first.", &page.false_matches)?;
    body += &pairs(
        "Worst false non-matches",
        "One person taken for two, the least similar first.",
        &page.false_non_matches,
    )?;
    body += &failures(&page.failures);
    for grouping in &page.groupings {
        body += &groups(grouping);
    }
    if !page.groupings.is_empty() {
        body += "<p class=\"quiet\">The worst gap is between the best group and the worst, in points of per cent. In bold: the \
                 worst group of each figure, and the widest gap. Small groups differ by chance: mind the intervals.</p>\n";
    }
    body += &about(&page.about)?;
    Ok(page::page(&page.about.title, &page.about.summary, &body))
}

fn headline(result: &Verification) -> String {
    let intervals = &result.intervals;
    let mut shown = vec![Tile {
        name: "Accuracy",
        value: percent(result.accuracy_mean),
        detail: format!(
            "± {} standard error over {} folds<br>{}",
            percent(result.accuracy_stderr),
            result.folds.len(),
            percents(intervals.accuracy_mean)
        ),
    }];
    if let Some((key, tar)) = HEADLINE_FARS.iter().find_map(|key| result.tar_at_far.get_key_value(*key)) {
        shown.push(Tile {
            name: "True accept rate",
            value: percent(*tar),
            detail: format!(
                "at a false accept rate of {}<br>{}",
                rate(key),
                intervals.tar_at_far.get(key).map_or_else(String::new, |interval| percents(*interval))
            ),
        });
    }
    shown.push(Tile { name: "Equal error rate", value: percent(result.eer), detail: percents(intervals.eer) });
    shown.push(Tile { name: "Area under ROC", value: area(result.auc), detail: intervals.auc.map(area).join("–") });
    shown.push(Tile {
        name: "Failures to detect",
        value: count(result.failures_to_detect),
        detail: format!(
            "of {} pairs: {} of one person, {} of two. In the accuracy they are errors.",
            count(result.pairs),
            count(result.same),
            count(result.different)
        ),
    });
    tiles(shown) + "<p class=\"quiet\">Ranges are 95\u{a0}% intervals, by resampling people.</p>\n"
}

fn area(auc: f64) -> String {
    if auc.is_finite() { format!("{auc:.4}") } else { "–".into() }
}

fn roc(result: &Verification) -> String {
    let points: Vec<Point> =
        result.roc.iter().map(|point| Point { x: point.far, y: point.tar, interval: point.interval }).collect();
    let marks: Vec<Mark> = result
        .tar_at_far
        .iter()
        .filter_map(|(key, tar)| Some(Mark { x: key.parse().ok()?, y: *tar, label: percent(*tar) }))
        .collect();
    let x = Axis::log("false accept rate", Unit::Rate, points.iter().map(|p| p.x).chain(marks.iter().map(|m| m.x)));
    let y = Axis::linear("true accept rate", Unit::Rate, points.iter().flat_map(|p| [p.y, p.interval[0]]).chain([1.0]));
    let plot =
        curves("ROC: true accept rate by false accept rate", &x, &y, &[Series { name: String::new(), points }], &marks);
    figure(
        &plot,
        &legend(&["ROC".to_owned()]),
        "How many pairs of one person are accepted, by how many pairs of different people are.",
    )
}

fn scores(page: &VerificationPage) -> String {
    let plot = histogram(
        "Histogram of the scores of pairs of one person and of different people",
        "similarity",
        [
            Distribution { name: "same person", scores: &page.same_scores },
            Distribution { name: "different people", scores: &page.different_scores },
        ],
        page.threshold,
    );
    let refused = page.same_scores.iter().filter(|score| **score < page.threshold).count();
    let accepted = page.different_scores.iter().filter(|score| **score >= page.threshold).count();
    let caption = format!(
        "At the threshold {} ({}), {} of {} pairs of one person are refused and {} of {} pairs of different people accepted.",
        similarity(page.threshold),
        escape(&page.threshold_origin),
        count(refused),
        count(page.same_scores.len()),
        count(accepted),
        count(page.different_scores.len()),
    );
    figure(&plot, "", &caption)
}

fn accepted(result: &Verification) -> String {
    let rows = rates(result.tar_at_far.keys()).into_iter().map(|key| {
        vec![
            rate(key),
            estimate(result.tar_at_far.get(key).copied(), result.intervals.tar_at_far.get(key).copied()),
            similarity(result.thresholds.get(key).map_or(f64::NAN, |threshold| *threshold)),
        ]
    });
    format!(
        "<section><h2>Which threshold?</h2>\n<p class=\"quiet\">The false accept rate (FAR) is the share of pairs of different \
         people accepted; the true accept rate (TAR), that of pairs of one person.</p>\n{}</section>\n",
        table("figures", &["FAR", "TAR", "threshold"], rows)
    )
}

/// A figure that groups are compared in.
struct Figure {
    name: String,
    larger_is_better: bool,
    /// The figure of each group and its interval.
    groups: Vec<(Option<f64>, Option<[f64; 2]>)>,
}

impl Figure {
    /// The least and the greatest value of the groups.
    fn extremes(&self) -> Option<[f64; 2]> {
        let values = self.groups.iter().filter_map(|(value, _)| *value).filter(|value| value.is_finite());
        values.fold(None, |all, v| Some(all.map_or([v, v], |[low, high]: [f64; 2]| [low.min(v), high.max(v)])))
    }

    /// The worst group's value, if the groups differ.
    fn worst(&self) -> Option<f64> {
        let [low, high] = self.extremes().filter(|[low, high]| low < high)?;
        Some(if self.larger_is_better { low } else { high })
    }
}

fn figures(groups: &[(String, Verification)]) -> Vec<Figure> {
    let results = || groups.iter().map(|(_, result)| result);
    let mut figures = vec![
        Figure {
            name: "accuracy".into(),
            larger_is_better: true,
            groups: results().map(|v| (Some(v.accuracy_mean), Some(v.intervals.accuracy_mean))).collect(),
        },
        Figure {
            name: "EER".into(),
            larger_is_better: false,
            groups: results().map(|v| (Some(v.eer), Some(v.intervals.eer))).collect(),
        },
    ];
    for key in rates(results().flat_map(|v| v.tar_at_far.keys())) {
        let at = |v: &Verification| (v.tar_at_far.get(key).copied(), v.intervals.tar_at_far.get(key).copied());
        figures.push(Figure {
            name: format!("TAR at FAR\u{a0}{}", rate(key)),
            larger_is_better: true,
            groups: results().map(at).collect(),
        });
    }
    figures
}

fn groups(grouping: &Grouping) -> String {
    let figures = figures(&grouping.groups);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (i, (name, result)) in grouping.groups.iter().enumerate() {
        let mut row = vec![escape(name), count(result.pairs), count(result.failures_to_detect)];
        for figure in &figures {
            let (value, interval) = figure.groups.get(i).copied().unwrap_or_default();
            let cell = estimate(value, interval);
            let worst = figure.worst();
            row.push(if worst.is_some() && value == worst { format!("<b class=\"worst\">{cell}</b>") } else { cell });
        }
        rows.push(row);
    }
    let gaps: Vec<Option<f64>> = figures.iter().map(|f| f.extremes().map(|[low, high]| 100.0 * (high - low))).collect();
    let widest = gaps.iter().flatten().copied().fold(0.0, f64::max);
    let mut last = vec!["worst gap".to_owned(), String::new(), String::new()];
    last.extend(gaps.into_iter().map(|gap| match gap {
        None => "–".into(),
        Some(gap) if gap == widest && gap > 0.0 => format!("<b class=\"worst\">{gap:.2}</b>"),
        Some(gap) => format!("{gap:.2}"),
    }));
    rows.push(last);
    let label = escape(&grouping.label);
    let names = figures.iter().map(|figure| figure.name.as_str());
    let head: Vec<&str> = [label.as_str(), "pairs", "no face"].into_iter().chain(names).collect();
    format!("<h2>By {label}</h2>\n{}", table("gaps", &head, rows))
}

fn folds(result: &Verification) -> String {
    if result.folds.is_empty() {
        return String::new();
    }
    let rows = result
        .folds
        .iter()
        .map(|fold| vec![(u64::from(fold.fold) + 1).to_string(), similarity(fold.threshold), percent(fold.accuracy)]);
    let origin = match result.folds_from {
        FoldsFrom::Protocol => "",
        FoldsFrom::People => " The protocol has no folds: people were dealt to ten.",
        FoldsFrom::Pairs => " The protocol has no folds, and its people cannot be parted: pairs were dealt to ten.",
    };
    format!(
        "<section><h2>Folds</h2>\n<p class=\"quiet\">Each fold is tested with the threshold chosen on the others.{origin}</p>\n\
         {}</section>\n",
        table("figures", &["fold", "threshold", "accuracy"], rows)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::sample, *};
    use crate::evaluate::verification::Intervals;

    fn none() -> Verification {
        let empty = [f64::NAN; 2];
        Verification {
            pairs: 0,
            same: 0,
            different: 0,
            failures_to_detect: 0,
            accuracy_mean: f64::NAN,
            accuracy_stderr: f64::NAN,
            auc: f64::NAN,
            eer: f64::NAN,
            tar_at_far: BTreeMap::new(),
            thresholds: BTreeMap::new(),
            intervals: Intervals { accuracy_mean: empty, auc: empty, eer: empty, tar_at_far: BTreeMap::new() },
            folds: Vec::new(),
            folds_from: FoldsFrom::Protocol,
            roc: Vec::new(),
        }
    }

    #[test]
    fn every_part_is_on_the_page_and_nothing_from_outside() {
        let page = sample::verification();
        let html = html(&page).unwrap();
        for part in [
            "Accuracy",
            "True accept rate",
            "Equal error rate",
            "Area under ROC",
            "Failures to detect",
            "Which threshold?",
            "Worst false matches",
            "Worst false non-matches",
            "No face found",
            "By gender",
            "By age",
            "worst gap",
            "Folds",
            "To repeat it",
            "SHA-256",
            "<details><summary>Settings",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("<svg class=\"plot\"").count(), 2);
        let pictures = 2 * (page.false_matches.len() + page.false_non_matches.len());
        assert_eq!(html.matches("src=\"data:image/jpeg;base64,").count(), pictures);
        assert!(html.contains(&percent(page.result.accuracy_mean)));
        assert!(html.contains(&percents(page.result.intervals.tar_at_far["1e-3"])));
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));
        assert!(!sample::readable(&html).contains("NaN"));
    }

    #[test]
    fn names_from_files_are_text() {
        let mut page = sample::verification();
        page.about.title = "<i>1".into();
        page.about.command = "bledsoe <i>2".into();
        page.false_matches[0].left.caption = "\"><i>3".into();
        page.false_matches[0].note = "<i>4".into();
        page.groupings[0].label = "<i>5".into();
        page.groupings[0].groups[0].0 = "<i>6".into();
        page.threshold_origin = "<i>7".into();
        page.about.models[0].id = "<i>8".into();
        page.about.settings = serde_json::json!({ "a": "<i>9" });
        let html = html(&page).unwrap();
        assert!(!html.contains("<i>"));
        for i in 1..=9 {
            assert!(html.contains(&format!("&lt;i&gt;{i}")), "{i}");
        }
    }

    #[test]
    fn a_benchmark_without_pairs_still_has_a_page() {
        let mut page = sample::verification();
        page.result = none();
        page.same_scores.clear();
        page.different_scores.clear();
        page.threshold = f64::NAN;
        page.false_matches.clear();
        page.failures.clear();
        page.groupings = vec![Grouping { label: "age".into(), groups: vec![("all".into(), none())] }];
        let html = html(&page).unwrap();
        let text = sample::readable(&html);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(!html.contains("Worst false matches") && !html.contains("Folds"));
        assert_eq!(html.matches("nothing to show").count(), 2);
    }

    #[test]
    fn the_worst_group_and_the_widest_gap_stand_out() {
        let group = |accuracy, eer| Verification { accuracy_mean: accuracy, eer, ..none() };
        let grouping = Grouping {
            label: "age".into(),
            groups: vec![("young".into(), group(0.9, 0.02)), ("old".into(), group(0.98, 0.03))],
        };
        let html = groups(&grouping);
        let row = |name: &str| html.split("<tr>").find(|row| row.contains(name)).unwrap();
        assert!(row("young").contains("<b class=\"worst\">90.00") && !row("young").contains("<b class=\"worst\">2.00"));
        assert!(row("old").contains("<b class=\"worst\">3.00") && !row("old").contains("<b class=\"worst\">98.00"));
        assert!(row("worst gap").contains("<b class=\"worst\">8.00</b>") && row("worst gap").contains("<td>1.00</td>"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write(Path::new("/no/such/folder/report.html"), &sample::verification()).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"));
    }
}
