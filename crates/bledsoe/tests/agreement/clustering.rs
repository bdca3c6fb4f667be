//! Agreement of the scores of clusterings with scikit-learn and the definitions to 1e-12, from golden/clustering.json
//! made by tools/reference/clustering.py.

use bledsoe::evaluate::clustering::{Score, agreement};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    truth: Vec<u32>,
    found: Vec<u32>,
    /// Precision, recall, F.
    pairwise: [f64; 3],
    bcubed: [f64; 3],
}

#[test]
fn scores_of_clusterings_agree() {
    let golden: Golden = serde_json::from_str(include_str!("golden/clustering.json")).unwrap();
    assert!(golden.cases.len() > 4);
    for (i, case) in golden.cases.iter().enumerate() {
        let found = agreement(&case.truth, &case.found).unwrap();
        let same = |score: Score, expected: [f64; 3]| {
            let found = [score.precision, score.recall, score.f];
            assert!(
                found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-12),
                "case {i}: {found:?}, {expected:?}"
            );
        };
        same(found.pairwise, case.pairwise);
        same(found.bcubed, case.bcubed);
    }
}
