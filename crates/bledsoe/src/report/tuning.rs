//! The page of a search for a classifier's settings: what was tried, how it went on, and what was chosen.

use std::path::Path;

use super::{
    page::{self, Tile, count, escape, figure, percent, table, tiles},
    plot::{Axis, Point, Series, Unit, curves, legend},
};
use crate::{
    Result,
    classify::{
        ClassifierKind,
        tuning::{Score, Searched, Setting, Tried},
    },
};

/// Half the width of a 95 % interval, in standard errors.
const INTERVAL: f64 = 1.96;
/// Curves in one plot, at most.
const CURVES: usize = 6;

/// Writes the page to `path`: one HTML file with everything in it. `settings` is what the classifier's file remembers.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written.
pub fn write(path: &Path, title: &str, searched: &Searched, settings: &serde_json::Value) -> Result<()> {
    page::write(path, &html(title, searched, settings)?)
}

fn html(title: &str, searched: &Searched, settings: &serde_json::Value) -> Result<String> {
    let mut body = headline(searched);
    body += "<div class=\"charts\">\n";
    body += &race(searched);
    body += &penalties(searched);
    body += "</div>\n<h2>What was tried</h2>\n<p class=\"quiet\">Those who came furthest first. Accuracies of different rungs are of \
             different photos, and do not compare. Seconds are of one core.</p>\n";
    body += &everything(searched);
    body += &page::settings(settings)?;
    let lead = format!(
        "{}{}",
        in_words(&searched.chosen),
        if searched.stopped { ", the best until it was stopped" } else { "" }
    );
    Ok(page::page(title, &lead, &body))
}

fn headline(searched: &Searched) -> String {
    let last = searched.rungs.last();
    let rungs = searched.rungs.iter().map(|rung| {
        format!("{} on {} people and {} photos", count(rung.settings), count(rung.people), count(rung.photos))
    });
    tiles([
        Tile {
            name: "Accuracy, cross-validated",
            value: percent(searched.score.accuracy),
            detail: format!(
                "± {} standard error, over {} photos held out",
                percent(searched.score.standard_error),
                count(last.map_or(0, |rung| rung.photos))
            ),
        },
        Tile {
            name: "Settings tried",
            value: count(searched.tried.len()),
            detail: rungs.collect::<Vec<_>>().join("<br>"),
        },
        Tile {
            name: "Near-duplicates",
            value: count(searched.copies),
            detail: format!("of {} training photos; held out together with what they are like", count(searched.faces)),
        },
        Tile {
            name: "Time of one core",
            value: format!("{:.0}\u{a0}s", searched.tried.iter().map(|tried| tried.seconds).sum::<f64>()),
            detail: "for what settings do not share".into(),
        },
    ])
}

fn point(x: f64, score: &Score) -> Point {
    let about = INTERVAL * score.standard_error;
    Point { x, y: score.accuracy, interval: [score.accuracy - about, (score.accuracy + about).min(1.0)] }
}

fn chart(title: &str, x: &Axis, series: &[Series], caption: &str) -> String {
    let y = Axis::linear("named rightly", Unit::Rate, series.iter().flat_map(|s| s.points.iter().map(|p| p.y)));
    let names: Vec<String> = series.iter().map(|s| s.name.clone()).collect();
    figure(&curves(title, x, &y, series, &[]), &legend(&names), caption)
}

/// The best of each kind of classifier on each rung.
fn race(searched: &Searched) -> String {
    let mut series: Vec<Series> = Vec::new();
    for kind in ["centroid", "knn", "svm-linear", "svm-rbf"] {
        let own = || searched.tried.iter().filter(move |tried| name(&tried.setting.classifier) == kind);
        let best = |rung: usize| {
            own().filter_map(|tried| tried.scores.get(rung)).max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
        };
        let points: Vec<Point> = searched
            .rungs
            .iter()
            .enumerate()
            .filter_map(|(i, rung)| Some(point(rung.photos as f64, best(i)?)))
            .collect();
        if !points.is_empty() {
            series.push(Series { name: kind.into(), points });
        }
    }
    let x = Axis::log("photos held out", Unit::Rank, searched.rungs.iter().map(|rung| rung.photos as f64));
    chart(
        "the best of each classifier on each rung",
        &x,
        &series,
        "The best of each kind of classifier on each rung. A line ends where none of its kind went on.",
    )
}

/// What the penalty does to each kernel, on the first rung, where all were tried.
fn penalties(searched: &Searched) -> String {
    let chosen = &searched.chosen;
    let alike = |tried: &&Tried| {
        tried.setting.embedder == chosen.embedder
            && (tried.setting.augment, tried.setting.epochs) == (chosen.augment, chosen.epochs)
    };
    let mut series: Vec<Series> = Vec::new();
    for tried in searched.tried.iter().filter(alike) {
        let (c, name) = match tried.setting.classifier {
            ClassifierKind::SvmLinear { c } => (c, "linear".to_owned()),
            ClassifierKind::SvmRbf { c, gamma: Some(gamma) } => (c, format!("gamma {gamma}")),
            _ => continue,
        };
        let Some(score) = tried.scores.first() else { continue };
        let point = point(c.log10(), score);
        match series.iter_mut().find(|series| series.name == name) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name, points: vec![point] }),
        }
    }
    if series.is_empty() {
        return String::new();
    }
    series.iter_mut().for_each(|series| series.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
    series.sort_by(|a, b| b.name.cmp(&a.name));
    series.truncate(CURVES);
    let x = Axis::linear(
        "logarithm of C, to base 10",
        Unit::Score,
        series.iter().flat_map(|s| s.points.iter().map(|p| p.x)).collect::<Vec<_>>(),
    );
    chart(
        "accuracy by penalty and kernel",
        &x,
        &series,
        "Support vector machines on the first rung: the linear kernel, and the RBF kernel by its width gamma.",
    )
}

fn everything(searched: &Searched) -> String {
    let rows = searched.tried.iter().map(|tried| {
        let setting = &tried.setting;
        let last = tried.scores.last();
        let chosen = if *setting == searched.chosen { " ✓" } else { "" };
        vec![
            format!("{}{chosen}", escape(&parameters(&setting.classifier))),
            escape(&setting.embedder),
            escape(&augmentation(setting)),
            tried.scores.len().to_string(),
            last.map_or_else(|| "–".into(), |score| percent(score.accuracy)),
            last.map_or_else(|| "–".into(), |score| percent(score.standard_error)),
            last.map_or_else(|| "–".into(), |score| format!("{:.4}", score.log_loss)),
            format!("{:.2}", tried.seconds),
        ]
    });
    let head = ["classifier", "embedder", "augmentation", "rung", "right", "standard error", "log loss", "seconds"];
    table("figures", &head, rows)
}

fn name(kind: &ClassifierKind) -> &'static str {
    match kind {
        ClassifierKind::SvmLinear { .. } => "svm-linear",
        ClassifierKind::SvmRbf { .. } => "svm-rbf",
        ClassifierKind::Knn { .. } => "knn",
        ClassifierKind::Centroid => "centroid",
    }
}

/// A classifier with its parameters: `svm-rbf, C 3, gamma 1`.
fn parameters(kind: &ClassifierKind) -> String {
    let name = name(kind);
    match kind {
        ClassifierKind::SvmLinear { c } | ClassifierKind::SvmRbf { c, gamma: None } => format!("{name}, C {c}"),
        ClassifierKind::SvmRbf { c, gamma: Some(gamma) } => format!("{name}, C {c}, gamma {gamma}"),
        ClassifierKind::Knn { k } => format!("{name}, k {k}"),
        ClassifierKind::Centroid => name.to_owned(),
    }
}

/// What a setting varies: `none`, or `5 passes of flip,crop`.
fn augmentation(setting: &Setting) -> String {
    if setting.augment.is_none() { "none".into() } else { format!("{} passes of {}", setting.epochs, setting.augment) }
}

/// A setting in one line.
pub fn in_words(setting: &Setting) -> String {
    let augmented = if setting.augment.is_none() { String::new() } else { format!(", {}", augmentation(setting)) };
    format!("{} on {}{augmented}", parameters(&setting.classifier), setting.embedder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::{Augmentation, tuning::Rung};

    fn tried(classifier: ClassifierKind, embedder: &str, accuracies: &[f64]) -> Tried {
        let setting = Setting { embedder: embedder.into(), classifier, augment: Augmentation::NONE, epochs: 1 };
        let score = |&accuracy: &f64| Score { accuracy, standard_error: 0.01, log_loss: 0.5 };
        Tried { setting, scores: accuracies.iter().map(score).collect(), seconds: 1.5 }
    }

    fn searched() -> Searched {
        let rbf = |c, gamma| ClassifierKind::SvmRbf { c, gamma: Some(gamma) };
        let tried = vec![
            tried(rbf(1.0, 2.0), "a<b", &[0.91, 0.92]),
            tried(ClassifierKind::SvmLinear { c: 0.1 }, "a<b", &[0.9, 0.915]),
            tried(rbf(0.1, 2.0), "a<b", &[0.85]),
            tried(ClassifierKind::Centroid, "b", &[0.8]),
            tried(ClassifierKind::Knn { k: 3 }, "b", &[0.7]),
        ];
        let rung = |settings, photos| Rung { settings, people: 5, folds: 1, photos };
        Searched {
            chosen: tried[0].setting.clone(),
            score: tried[0].scores[1],
            folds: 5,
            seed: 0,
            faces: 2000,
            copies: 7,
            rungs: vec![rung(5, 100), rung(2, 1500)],
            tried,
            stopped: false,
        }
    }

    #[test]
    fn all_that_was_tried_is_there_and_nothing_comes_from_outside() {
        let html = html("A & B", &searched(), &serde_json::json!({ "seed": 0 })).unwrap();
        assert!(html.contains("svm-rbf, C 1, gamma 2 ✓") && html.matches(" ✓").count() == 1);
        for text in ["centroid", "knn, k 3", "92.00\u{a0}%", "a&lt;b", "A &amp; B", "1,500", "logarithm of C"] {
            assert!(html.contains(text), "{text}");
        }
        assert!(!html.contains("a<b") && !html.contains("http:") && !html.contains("<script"));
        assert_eq!(html.matches("<svg class=\"plot\"").count(), 2);
    }

    #[test]
    fn a_search_without_machines_or_further_rungs_has_a_page_too() {
        let mut few = searched();
        few.tried.drain(..3);
        few.rungs.truncate(1);
        few.chosen = few.tried[0].setting.clone();
        few.stopped = true;
        let html = html("x", &few, &serde_json::json!({})).unwrap();
        assert_eq!(html.matches("<svg class=\"plot\"").count(), 1);
        assert!(html.contains("until it was stopped"));
    }
}
