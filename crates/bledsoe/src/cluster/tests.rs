use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Error, evaluate::clustering::agreement};

const DIM: usize = 64;
/// No cohort is known of this embedder.
const EMBEDDER: &str = "made up";

fn direction(random: &mut fastrand::Rng) -> Vec<f32> {
    let v: Vec<f32> = (0..DIM).map(|_| (0..4).map(|_| random.f32() - 0.5).sum()).collect();
    unit(&v).unwrap()
}

/// One of those whose cosine to each other is about `alike`.
fn near(random: &mut fastrand::Rng, centre: &[f32], alike: f32) -> Vec<f32> {
    let own = direction(random);
    let face: Vec<f32> = centre.iter().zip(own).map(|(c, o)| alike.sqrt() * c + (1.0 - alike).sqrt() * o).collect();
    unit(&face).unwrap()
}

/// `photos` faces of each of `people`, one after the other, with a cosine of about 0.7 between those of one person.
fn faces(seed: u64, people: usize, photos: usize) -> Vec<Vec<f32>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut faces = Vec::new();
    for _ in 0..people {
        let centre = direction(&mut random);
        faces.extend((0..photos).map(|_| near(&mut random, &centre, 0.7)));
    }
    faces
}

fn alone(vectors: &[Vec<f32>]) -> Vec<Face<'_>> {
    vectors.iter().enumerate().map(|(photo, vector)| Face { vector, photo }).collect()
}

fn options(method: Method) -> Options {
    let threshold = if matches!(method, Method::Dbscan | Method::Hdbscan) { 0.55 } else { 0.5 };
    Options { method, threshold: Some(threshold), false_links: None }
}

fn run(method: Method, faces: &[Face<'_>], knowledge: &Knowledge) -> Clustering {
    cluster(EMBEDDER, faces, knowledge, &options(method), &mut |_, _| Ok(())).unwrap()
}

fn people(count: usize, photos: usize) -> Vec<usize> {
    (0..count * photos).map(|face| face / photos).collect()
}

#[test]
fn every_method_finds_one_cluster_a_person() {
    let vectors = faces(1, 60, 5);
    for method in Method::ALL {
        let found = run(method, &alone(&vectors), &Knowledge::default());
        let score = agreement(&people(60, 5), &found.clusters).unwrap();
        assert_eq!((score.clusters, score.bcubed.f), (60, 1.0), "{method:?}");
        assert_eq!(found.names.len(), 60);
        assert!(found.confidence.iter().all(Option::is_none) && !found.calibrated);
    }
}

#[test]
fn strangers_stay_alone() {
    let vectors = faces(2, 50, 1);
    for method in Method::ALL {
        let found = run(method, &alone(&vectors), &Knowledge::default());
        assert_eq!(found.clusters, (0..50).collect::<Vec<_>>(), "{method:?}");
    }
}

#[test]
fn more_near_duplicates_than_neighbours_are_looked_for_are_one_cluster() {
    // Two bursts of one person, each larger than a list of neighbours: no list of the one reaches the other.
    let person = faces(3, 1, 2);
    let mut random = fastrand::Rng::with_seed(4);
    let mut vectors = Vec::new();
    for photo in &person {
        for _ in 0..2 * neighbours::NEIGHBOURS {
            let noise = direction(&mut random);
            let near: Vec<f32> = photo.iter().zip(noise).map(|(x, n)| x + 0.05 * n).collect();
            vectors.push(unit(&near).unwrap());
        }
    }
    let others = faces(5, 20, 3);
    vectors.extend(others);
    let found = run(Method::Agglomerative, &alone(&vectors), &Knowledge::default());
    let burst: BTreeSet<usize> = found.clusters[..4 * neighbours::NEIGHBOURS].iter().copied().collect();
    assert_eq!(burst, BTreeSet::from([0]));
    assert_eq!(found.names.len(), 21);
}

#[test]
fn faces_of_one_photo_are_different_people() {
    // Twins: the same face twice in each photo.
    let one = faces(6, 1, 6);
    let vectors: Vec<Vec<f32>> = one.iter().flat_map(|face| [face.clone(), face.clone()]).collect();
    let faces: Vec<Face> = vectors.iter().enumerate().map(|(i, vector)| Face { vector, photo: i / 2 }).collect();
    for method in Method::ALL {
        let found = run(method, &faces, &Knowledge::default());
        for pair in found.clusters.chunks(2) {
            assert_ne!(pair[0], pair[1], "{method:?}");
        }
    }
}

#[test]
fn pairs_said_to_be_the_same_or_different_hold() {
    let vectors = faces(7, 10, 4);
    let knowledge = Knowledge { same: vec![[0, 4]], different: vec![[8, 9], [12, 16]], ..Knowledge::default() };
    for method in Method::ALL {
        let found = run(method, &alone(&vectors), &knowledge);
        assert_eq!(found.clusters[0], found.clusters[4], "{method:?}");
        assert_ne!(found.clusters[8], found.clusters[9], "{method:?}");
        assert_ne!(found.clusters[12], found.clusters[16], "{method:?}");
        // Nobody else suffers.
        let rest = agreement(&people(10, 4)[20..], &found.clusters[20..]).unwrap();
        assert_eq!(rest.bcubed.f, 1.0, "{method:?}");
    }
}

#[test]
fn the_users_word_counts_more_than_the_photo() {
    let vectors = faces(8, 1, 2);
    let faces: Vec<Face> = vectors.iter().map(|vector| Face { vector, photo: 0 }).collect();
    let knowledge = Knowledge { same: vec![[0, 1]], ..Knowledge::default() };
    assert_eq!(run(Method::Agglomerative, &faces, &knowledge).clusters, [0, 0]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let vectors = faces(9, 2, 2);
    let faces = alone(&vectors);
    let named = |name: &str, faces: &[usize]| Named { name: name.into(), faces: faces.to_vec(), templates: Vec::new() };
    let wrong = [
        Knowledge { same: vec![[0, 1], [1, 2]], different: vec![[2, 0]], ..Knowledge::default() },
        Knowledge { same: vec![[0, 2]], named: vec![named("Ada", &[0]), named("Bob", &[2])], ..Knowledge::default() },
        Knowledge { different: vec![[0, 1]], named: vec![named("Ada", &[0, 1])], ..Knowledge::default() },
        Knowledge { same: vec![[0, 4]], ..Knowledge::default() },
        Knowledge { different: vec![[1, 1]], ..Knowledge::default() },
    ];
    for knowledge in wrong {
        let found = cluster(EMBEDDER, &faces, &knowledge, &options(Method::Whispers), &mut |_, _| Ok(()));
        assert!(matches!(found, Err(Error::Invalid(_))), "{knowledge:?}");
    }
    let nobody = Knowledge { named: vec![named("Ada", &[])], ..Knowledge::default() };
    assert_eq!(run(Method::Dbscan, &faces, &nobody).names[0], "Ada");
}

#[test]
fn names_stay_when_photos_are_added() {
    let vectors = faces(10, 12, 6);
    let truth = people(12, 6);
    // What was there before: four photos of each of the first ten people; now come the others.
    let before: Vec<usize> = (0..60).filter(|face| face % 6 < 4).collect();
    let old: Vec<Vec<f32>> = before.iter().map(|&face| vectors[face].clone()).collect();
    for method in Method::ALL {
        let first = run(method, &alone(&old), &Knowledge::default());
        let named = first.names.iter().enumerate().map(|(cluster, name)| Named {
            name: if cluster == 3 { "Ada Lovelace".into() } else { name.clone() },
            faces: (0..before.len()).filter(|&i| first.clusters[i] == cluster).map(|i| before[i]).collect(),
            templates: Vec::new(),
        });
        let knowledge = Knowledge { named: named.collect(), ..Knowledge::default() };
        let second = run(method, &alone(&vectors), &knowledge);
        for (i, &face) in before.iter().enumerate() {
            assert_eq!(second.clusters[face], first.clusters[i], "{method:?}");
        }
        assert_eq!(second.names[3], "Ada Lovelace");
        assert_eq!(second.names[..3], first.names[..3]);
        let score = agreement(&truth, &second.clusters).unwrap();
        assert_eq!((score.bcubed.f, score.clusters), (1.0, 12), "{method:?}");
        assert_eq!(second.names.iter().collect::<BTreeSet<_>>().len(), 12, "a name twice");
    }
}

#[test]
fn named_clusters_are_never_made_one_and_templates_attract_their_person() {
    let vectors = faces(11, 3, 6);
    let named = |name: &str, faces: &[usize], templates: &[Vec<f32>]| Named {
        name: name.into(),
        faces: faces.to_vec(),
        templates: templates.to_vec(),
    };
    // Ada is named twice; Bob is known by photos that are not among the faces.
    let rest: Vec<Vec<f32>> = vectors[..9].to_vec();
    let knowledge = Knowledge {
        named: vec![named("Ada 1", &[0, 1], &[]), named("Ada 2", &[2], &[]), named("Bob", &[], &vectors[9..12])],
        ..Knowledge::default()
    };
    let found = run(Method::Agglomerative, &alone(&rest), &knowledge);
    assert_eq!((found.clusters[0], found.clusters[1], found.clusters[2]), (0, 0, 1));
    assert!(found.clusters[3..6].iter().all(|&cluster| cluster < 2));
    assert_eq!(found.clusters[6..9], [2, 2, 2]);
    assert_eq!(found.names, ["Ada 1", "Ada 2", "Bob"]);
}

#[test]
fn is_the_same_each_time_however_many_threads_take_part() {
    let vectors = faces(12, 200, 5);
    let threads = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
    for method in Method::ALL {
        let [a, b] = [1, 3].map(|n| threads(n).install(|| run(method, &alone(&vectors), &Knowledge::default())));
        assert_eq!(a, b, "{method:?}");
    }
}

#[test]
fn average_linkage_is_that_of_the_textbook() {
    for seed in 0..5 {
        // Cosines near the threshold, so that the order of joining matters.
        let vectors = faces(20 + seed, 25, 4);
        for threshold in [0.3, 0.6, 0.72] {
            let options = Options { threshold: Some(threshold), ..Options::default() };
            let found =
                cluster(EMBEDDER, &alone(&vectors), &Knowledge::default(), &options, &mut |_, _| Ok(())).unwrap();
            let score = agreement(&textbook(&vectors, threshold), &found.clusters).unwrap();
            assert_eq!(score.bcubed.f, 1.0, "seed {seed}, threshold {threshold}");
        }
    }
}

/// Average linkage in the slowest and plainest way.
fn textbook(vectors: &[Vec<f32>], threshold: f32) -> Vec<usize> {
    let mut clusters: Vec<Vec<usize>> = (0..vectors.len()).map(|face| vec![face]).collect();
    let average = |a: &[usize], b: &[usize]| {
        let products = a.iter().flat_map(|&i| b.iter().map(move |&j| f64::from(dot(&vectors[i], &vectors[j]))));
        products.sum::<f64>() / (a.len() * b.len()) as f64
    };
    loop {
        let pairs = (0..clusters.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        let best = pairs.map(|(a, b)| (average(&clusters[a], &clusters[b]), a, b)).max_by(|x, y| x.0.total_cmp(&y.0));
        match best.filter(|best| best.0 >= f64::from(threshold)) {
            Some((_, a, b)) => {
                let joined = clusters.swap_remove(a);
                clusters[b].extend(joined);
            }
            None => break,
        }
    }
    let mut found = vec![0; vectors.len()];
    clusters.iter().enumerate().for_each(|(cluster, faces)| faces.iter().for_each(|&face| found[face] = cluster));
    found
}

#[test]
fn noise_is_alone_where_dbscan_wants_denser_cores() {
    let mut vectors = faces(13, 1, 6);
    vectors.extend(faces(14, 1, 2));
    let nodes: Vec<Node> = vectors.iter().map(|vector| Node::of(vector)).collect();
    let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let links = neighbours::links(&slices, 0.4).unwrap();
    let clusters = |least| Dbscan { least }.cluster(&nodes, &links, 0.4).unwrap();
    let count = |clusters: Vec<usize>| clusters.into_iter().collect::<BTreeSet<_>>().len();
    assert_eq!((count(clusters(2)), count(clusters(4))), (2, 3));
}

#[test]
fn hdbscan_finds_clusters_that_no_threshold_parts_and_leaves_noise_alone() {
    let mut random = fastrand::Rng::with_seed(17);
    // Two people more like each other than a third is like themselves, and three whom nobody is like.
    let family = direction(&mut random);
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    for (alike, count) in [(0.95, 6), (0.95, 6), (0.6, 6)] {
        let centre = if alike > 0.9 { near(&mut random, &family, 0.75) } else { direction(&mut random) };
        vectors.extend((0..count).map(|_| near(&mut random, &centre, alike)));
    }
    vectors.extend((0..3).map(|_| direction(&mut random)));
    let truth: Vec<usize> = (0..21).map(|face| if face < 18 { face / 6 } else { face }).collect();
    let nodes: Vec<Node> = vectors.iter().map(|vector| Node::of(vector)).collect();
    let slices: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
    let right = |clusterer: &dyn Clusterer, threshold: f32| {
        let links = neighbours::links(&slices, threshold).unwrap();
        agreement(&truth, &clusterer.cluster(&nodes, &links, threshold).unwrap()).unwrap().bcubed.f == 1.0
    };
    assert!((0..100).all(|percent| !right(&Dbscan::default(), percent as f32 / 100.0)));
    for samples in 2..5 {
        assert!(right(&Hdbscan { least: 3, samples, epsilon: 0.0 }, 0.4), "{samples}");
    }
    // What is nearer than epsilon is not parted; nor are six faces a cluster of seven.
    assert!(!right(&Hdbscan { least: 3, samples: 2, epsilon: 0.9 }, 0.4));
    assert!(!right(&Hdbscan { least: 7, samples: 2, epsilon: 0.0 }, 0.4));
}

#[test]
fn hdbscan_does_not_take_what_the_user_put_together_for_a_cluster() {
    let mut random = fastrand::Rng::with_seed(18);
    let centre = direction(&mut random);
    // Two photos put together lie off three much alike, as one photo might: they are no denser by it.
    let vectors: Vec<Vec<f32>> = [0.5, 0.5, 0.95, 0.95, 0.95].map(|alike| near(&mut random, &centre, alike)).into();
    let mut nodes: Vec<Node> = vectors[1..].iter().map(|vector| Node::of(vector)).collect();
    nodes[0].join(&Node::of(&vectors[0]));
    let directions: Vec<Cow<'_, [f32]>> = nodes.iter().map(|node| node.direction().unwrap()).collect();
    let links = neighbours::links(&directions.iter().map(|direction| &**direction).collect::<Vec<_>>(), 0.3).unwrap();
    let found = Hdbscan { epsilon: 0.0, ..Hdbscan::default() }.cluster(&nodes, &links, 0.3).unwrap();
    assert_eq!(found, [found[0]; 4]);
}

#[test]
fn a_threshold_is_calibrated_by_the_number_of_faces_and_doubtful_faces_are_known() {
    let embedder = crate::pipeline::FAST_EMBEDDER;
    let dim = 192;
    let mut random = fastrand::Rng::with_seed(15);
    let mut draw = |base: Option<&[f32]>, own: f32| {
        let v: Vec<f32> = (0..dim)
            .map(|i| base.map_or(0.0, |base| base[i]) + own * (0..4).map(|_| random.f32() - 0.5).sum::<f32>())
            .collect();
        unit(&v).unwrap()
    };
    let people: Vec<Vec<f32>> = (0..400).map(|_| draw(None, 1.0)).collect();
    let few: Vec<Vec<f32>> = people[..20].to_vec();
    let mut many = people.clone();
    let close = draw(Some(&people[0]), 0.02);
    many.push(close);
    let run = |vectors: &[Vec<f32>], rate: Option<f64>| {
        let options = Options { false_links: rate, ..Options::default() };
        cluster(embedder, &alone(vectors), &Knowledge::default(), &options, &mut |_, _| Ok(())).unwrap()
    };
    let (small, large) = (run(&few, None), run(&many, None));
    assert!(small.calibrated && small.threshold < large.threshold, "{} {}", small.threshold, large.threshold);
    assert!(run(&many, Some(1e-4)).threshold > large.threshold);
    assert_eq!(large.clusters[0], large.clusters[400]);
    assert!(large.confidence[400].unwrap() > 0.9, "{:?}", large.confidence[400]);
    assert!(large.confidence.iter().all(|c| (0.0..=1.0).contains(&c.unwrap())));
}

#[test]
fn an_unknown_embedder_needs_a_threshold_and_a_stop_is_heard() {
    let vectors = faces(16, 2, 2);
    let none = cluster(EMBEDDER, &alone(&vectors), &Knowledge::default(), &Options::default(), &mut |_, _| Ok(()));
    assert!(matches!(none, Err(Error::Invalid(reason)) if reason.contains("threshold")));
    let mut stop = |_, _| Err(Error::Interrupted);
    let stopped = cluster(EMBEDDER, &alone(&vectors), &Knowledge::default(), &options(Method::Whispers), &mut stop);
    assert!(matches!(stopped, Err(Error::Interrupted)));
    let nobody = run(Method::Whispers, &[], &Knowledge::default());
    assert!(nobody.clusters.is_empty() && nobody.names.is_empty());
    let uneven = [vec![1.0, 0.0], vec![1.0]];
    let uneven =
        cluster(EMBEDDER, &alone(&uneven), &Knowledge::default(), &options(Method::Dbscan), &mut |_, _| Ok(()));
    assert!(matches!(uneven, Err(Error::Mismatch(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_known_holds_whatever_it_is(
        seed in 0u64..1000,
        photos in prop::collection::vec(0usize..12, 24),
        pairs in prop::collection::vec((0usize..24, 0usize..24, any::<bool>()), 0..6),
        method in prop::sample::select(&Method::ALL[..]),
    ) {
        let vectors = faces(seed, 6, 4);
        let faces: Vec<Face> = vectors.iter().zip(&photos).map(|(vector, &photo)| Face { vector, photo }).collect();
        let mut knowledge = Knowledge::default();
        for (a, b, same) in pairs {
            if same { &mut knowledge.same } else { &mut knowledge.different }.push([a, b]);
        }
        match cluster(EMBEDDER, &faces, &knowledge, &options(method), &mut |_, _| Ok(())) {
            Ok(found) => {
                let together = |a: usize, b: usize| found.clusters[a] == found.clusters[b];
                prop_assert!(knowledge.same.iter().all(|&[a, b]| together(a, b)));
                prop_assert!(knowledge.different.iter().all(|&[a, b]| !together(a, b)));
                if knowledge.same.is_empty() {
                    for a in 0..24 {
                        prop_assert!((0..a).all(|b| photos[a] != photos[b] || !together(a, b)));
                    }
                }
            }
            Err(error) => prop_assert!(matches!(error, Error::Invalid(_)) && !knowledge.different.is_empty()),
        }
    }

    #[test]
    fn hdbscan_does_not_depend_on_the_order_of_faces(
        seed in 0u64..1000,
        photos in prop::collection::vec(0u32..12, 24),
        order in Just((0..24).collect::<Vec<usize>>()).prop_shuffle(),
        (least, samples, epsilon) in (2usize..6, 1usize..6, 0.0f32..1.0),
    ) {
        let vectors = faces(seed, 6, 4);
        let clusters = |order: &[usize]| {
            let slices: Vec<&[f32]> = order.iter().map(|&face| &*vectors[face]).collect();
            let node = |&face: &usize| Node { exclusions: vec![photos[face]], ..Node::of(&vectors[face]) };
            let nodes: Vec<Node> = order.iter().map(node).collect();
            let links = neighbours::links(&slices, 0.4).unwrap();
            Hdbscan { least, samples, epsilon }.cluster(&nodes, &links, 0.4).unwrap()
        };
        let (first, shuffled) = (clusters(&(0..24).collect::<Vec<_>>()), clusters(&order));
        for a in 0..24 {
            for b in 0..a {
                let together = first[order[a]] == first[order[b]];
                prop_assert_eq!(together, shuffled[a] == shuffled[b]);
                prop_assert!(!together || photos[order[a]] != photos[order[b]]);
            }
        }
    }
}
