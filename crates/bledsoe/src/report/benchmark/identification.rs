//! The page of a search protocol: which of the people enrolled is it, or is it a stranger?

use std::path::Path;

use super::{About, Failure, PicturePair, Tile, about, failures, figure, pairs, rate, rates, tiles};
use crate::{
    Result,
    evaluate::search::{ClosedSet, OpenSet},
    report::{
        page::{self, count, escape, estimate, percent, percents, similarity, table},
        plot::{Axis, Point, Series, Unit, curves, legend},
    },
};

/// The headline's miss rate is at the first of these false alarm rates that was measured.
const HEADLINE_FPIRS: [&str; 3] = ["1e-2", "1e-1", "1e-3"];

/// Everything on the page. What is empty is left out.
#[derive(Debug, Clone)]
pub struct IdentificationPage {
    /// What was measured, and how to repeat it.
    pub about: About,
    /// Closed-set results, each named by how many photos of a person were enrolled: `1 photo`. The first is the headline.
    pub closed: Vec<(String, ClosedSet)>,
    /// Open-set results, likewise.
    pub open: Vec<(String, OpenSet)>,
    /// Strangers (left) taken for somebody enrolled (right), the most similar first.
    pub false_alarms: Vec<PicturePair>,
    /// Photos (left) of people enrolled (right) who were not found, the least similar first.
    pub misses: Vec<PicturePair>,
    /// Photos in which no face was found.
    pub failures: Vec<Failure>,
}

/// Writes the page to `path`: one HTML file with everything in it.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the file cannot be written, [`Error::Photo`](crate::Error::Photo) when a picture
/// cannot be encoded.
pub fn write(path: &Path, page: &IdentificationPage) -> Result<()> {
    page::write(path, &html(page)?)
}

fn html(page: &IdentificationPage) -> Result<String> {
    let mut body = headline(page);
    body += "<div class=\"charts\">\n";
    if !page.open.is_empty() {
        body += &det(&page.open);
    }
    if !page.closed.is_empty() {
        body += &cmc(&page.closed);
    }
    body += "</div>\n";
    if !page.open.is_empty() {
        body += &open_table(&page.open);
    }
    if !page.closed.is_empty() {
        body += &closed_table(&page.closed);
    }
    body += &pairs(
        "Worst false alarms",
        "Strangers (left) and the person enrolled (right) whom they were taken for, the most similar first.",
        &page.false_alarms,
    )?;
    body += &pairs(
        "Worst misses",
        "Photos (left) of people enrolled (right) who were not found, the least similar first.",
        &page.misses,
    )?;
    body += &failures(&page.failures);
    body += &about(&page.about)?;
    Ok(page::page(&page.about.title, &page.about.summary, &body))
}

fn headline(page: &IdentificationPage) -> String {
    let mut shown = Vec::new();
    if let Some((name, open)) = page.open.first() {
        let name = escape(name);
        if let Some((key, fnir)) = HEADLINE_FPIRS.iter().find_map(|key| open.fnir_at_fpir.get_key_value(*key)) {
            let interval = open.intervals.get(key).map_or_else(String::new, |interval| percents(*interval));
            shown.push(Tile {
                name: "Misses",
                value: percent(*fnir),
                detail: format!("FNIR at an FPIR of {}; {name} enrolled<br>{interval}", rate(key)),
            });
        }
        shown.push(Tile {
            name: "First place",
            value: percent(open.rank1),
            detail: format!("whatever the score; {name} enrolled<br>{}", percents(open.rank1_interval)),
        });
        shown.push(Tile {
            name: "Probes",
            value: count(open.mated + open.strangers),
            detail: format!(
                "{} of people enrolled, {} of strangers, {} without a face found",
                count(open.mated),
                count(open.strangers),
                count(open.failures_to_detect)
            ),
        });
    }
    if let Some((name, closed)) = page.closed.first() {
        let name = escape(name);
        let interval = |key: &str| closed.intervals.get(key).map_or_else(String::new, |interval| percents(*interval));
        shown.push(Tile {
            name: "Rank 1",
            value: percent(closed.rank1),
            detail: format!("{name} enrolled<br>{}", interval("rank1")),
        });
        shown.push(Tile {
            name: "Rank 5",
            value: percent(closed.rank5),
            detail: format!("{name} enrolled<br>{}", interval("rank5")),
        });
        shown.push(Tile {
            name: "Probes",
            value: count(closed.probes),
            detail: format!("of people enrolled, {} without a face found", count(closed.failures_to_detect)),
        });
    }
    if shown.is_empty() {
        return String::new();
    }
    tiles(shown) + "<p class=\"quiet\">Ranges are 95\u{a0}% intervals, by resampling people.</p>\n"
}

fn det(open: &[(String, OpenSet)]) -> String {
    let series: Vec<Series> = open
        .iter()
        .map(|(name, result)| Series {
            name: name.clone(),
            points: result.det.iter().map(|p| Point { x: p.fpir, y: p.fnir, interval: p.interval }).collect(),
        })
        .collect();
    let points = || series.iter().flat_map(|s| &s.points);
    let x = Axis::log("false positive identification rate (FPIR)", Unit::Rate, points().map(|p| p.x));
    let y =
        Axis::log("false negative identification rate (FNIR)", Unit::Rate, points().flat_map(|p| [p.y, p.interval[1]]));
    let names: Vec<String> = series.iter().map(|s| s.name.clone()).collect();
    figure(
        &curves("DET: misses by false alarms", &x, &y, &series, &[]),
        &legend(&names),
        "How many people enrolled are missed, by how many strangers are taken for somebody. Lower is better.",
    )
}

fn cmc(closed: &[(String, ClosedSet)]) -> String {
    let series: Vec<Series> = closed
        .iter()
        .map(|(name, result)| Series {
            name: name.clone(),
            points: result.cmc.iter().map(|p| Point { x: p.rank as f64, y: p.rate, interval: p.interval }).collect(),
        })
        .collect();
    let points = || series.iter().flat_map(|s| &s.points);
    let x = Axis::log("rank", Unit::Rank, points().map(|p| p.x));
    let y = Axis::linear("found within rank", Unit::Rate, points().flat_map(|p| [p.y, p.interval[0]]).chain([1.0]));
    let names: Vec<String> = series.iter().map(|s| s.name.clone()).collect();
    figure(
        &curves("CMC: share of probes found by rank", &x, &y, &series, &[]),
        &legend(&names),
        "How many probes have their own person among the most similar ones. Higher is better.",
    )
}

fn open_table(open: &[(String, OpenSet)]) -> String {
    let keys = rates(open.iter().flat_map(|(_, result)| result.fnir_at_fpir.keys()));
    let titles: Vec<String> = keys.iter().map(|key| format!("FNIR at FPIR\u{a0}{}", rate(key))).collect();
    let head: Vec<&str> = ["enrolled"].into_iter().chain(titles.iter().map(String::as_str)).chain(["rank 1"]).collect();
    let rows = open.iter().map(|(name, result)| {
        let at = |key: &&str| {
            let threshold = result.thresholds.get(*key).map_or(f64::NAN, |threshold| *threshold);
            estimate(result.fnir_at_fpir.get(*key).copied(), result.intervals.get(*key).copied())
                + &format!("<small>threshold {}</small>", similarity(threshold))
        };
        let mut row = vec![escape(name)];
        row.extend(keys.iter().map(at));
        row.push(estimate(Some(result.rank1), Some(result.rank1_interval)));
        row
    });
    format!(
        "<h2>Strangers among the probes (open set)</h2>\n<p class=\"quiet\">FNIR is the share of people enrolled who are \
         missed; FPIR is the share of strangers taken for somebody, which the threshold decides.</p>\n{}",
        table("figures", &head, rows)
    )
}

fn closed_table(closed: &[(String, ClosedSet)]) -> String {
    let rows = closed.iter().map(|(name, result)| {
        vec![
            escape(name),
            estimate(Some(result.rank1), result.intervals.get("rank1").copied()),
            estimate(Some(result.rank5), result.intervals.get("rank5").copied()),
            count(result.probes),
            count(result.failures_to_detect),
        ]
    });
    format!(
        "<h2>Everybody is enrolled (closed set)</h2>\n<p class=\"quiet\">Rank 1 is the share of photos whose own person is the \
         most similar one; rank 5, among the five most similar. A photo without a face found counts as an error.</p>\n{}",
        table("figures", &["enrolled", "rank 1", "rank 5", "photos", "no face"], rows)
    )
}

#[cfg(test)]
mod tests {
    use super::{super::sample, *};

    #[test]
    fn every_part_is_on_the_page_and_nothing_from_outside() {
        let page = sample::identification();
        let html = html(&page).unwrap();
        for part in [
            "Misses",
            "First place",
            "Rank 1",
            "open set",
            "closed set",
            "Worst false alarms",
            "Worst misses",
            "No face found",
            "To repeat it",
            "SHA-256",
            "<details><summary>Settings",
            "5 photos",
            "Joe_Biden was nearer",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(html.matches("<svg class=\"plot\"").count(), 2);
        assert_eq!(
            html.matches("<path class=\"line s3\" d=\"M").count(),
            4,
            "the fourth curve of both plots and legends"
        );
        let fnir = page.open[1].1.fnir_at_fpir["1e-2"];
        assert!(html.contains(&percent(fnir)) && html.contains(&percents(page.open[1].1.intervals["1e-2"])));
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("<script"));
        assert!(!sample::readable(&html).contains("NaN"));
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let mut page = sample::identification();
        page.open.clear();
        page.false_alarms.clear();
        let closed = sample::readable(&html(&page).unwrap());
        assert!(closed.contains("closed set") && !closed.contains("open set") && !closed.contains("DET"));
        assert!(!closed.contains("Worst false alarms"));
        page.closed.clear();
        let nothing = html(&page).unwrap();
        assert!(!nothing.contains("<svg") && nothing.contains("To repeat it"));
    }

    #[test]
    fn a_search_without_probes_still_has_a_page() {
        let mut page = sample::identification();
        for (_, open) in &mut page.open {
            open.det.clear();
            open.fnir_at_fpir.values_mut().for_each(|v| *v = f64::NAN);
            open.rank1 = f64::NAN;
        }
        for (_, closed) in &mut page.closed {
            closed.cmc.truncate(1);
            closed.rank1 = f64::NAN;
        }
        let html = html(&page).unwrap();
        let text = sample::readable(&html);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(html.contains("nothing to show"));
    }
}
