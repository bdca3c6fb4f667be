//! What every [`Store`] must do. A store's test calls all of [`CASES`] with a function that makes an empty store of
//! [`model`], a new one at each call; and [`handles_see_each_other`] with two handles of one store, if it can have two.

use std::collections::BTreeMap;

use bledsoe::{
    Error, Result,
    gallery::store::{Model, NewTemplate, Origin, PersonId, Role, Store, StoredTemplate, TemplateId},
    geometry::Rect,
    quality::Pose,
};

/// Makes an empty store of [`model`].
pub type NewStore<'a> = &'a mut dyn FnMut() -> Box<dyn Store>;

/// What a store must do, in words, and the test of it.
pub type Case = (&'static str, fn(NewStore<'_>));

/// Every case.
pub const CASES: [Case; 19] = [
    ("a new store is empty", a_new_store_is_empty),
    ("people come back as they were made", people_come_back_as_they_were_made),
    ("names are unique", names_are_unique),
    ("any text is a name", any_text_is_a_name),
    ("numbers are never given again", numbers_are_never_given_again),
    ("templates come back to the bit", templates_come_back_to_the_bit),
    ("templates that cannot be compared are refused", templates_that_cannot_be_compared_are_refused),
    ("only enrolled templates are found", only_enrolled_templates_are_found),
    ("the first enrolled vector stands for a person", the_first_enrolled_vector_stands_for_a_person),
    ("who is erased is gone", who_is_erased_is_gone),
    ("templates are handed over", templates_are_handed_over),
    ("a visit sees all by number and ends at an error", a_visit_sees_all_by_number_and_ends_at_an_error),
    ("nearest is what a plain loop finds", nearest_is_what_a_plain_loop_finds),
    ("of equals the lower number comes first", of_equals_the_lower_number_comes_first),
    ("probes that cannot be compared are refused", probes_that_cannot_be_compared_are_refused),
    ("notes are kept", notes_are_kept),
    ("atomic work shows its changes and keeps them", atomic_work_shows_its_changes_and_keeps_them),
    ("atomic work that fails leaves nothing", atomic_work_that_fails_leaves_nothing),
    ("any order of changes agrees with a plain list", any_order_of_changes_agrees_with_a_plain_list),
];

const DIM: usize = 16;

/// The embedder of all stores here.
pub fn model() -> Model {
    Model { id: "suite".into(), dim: DIM }
}

/// A unit vector, the same for the same seed.
pub fn vector(seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let v: Vec<f32> = (0..DIM).map(|_| random.f32() - 0.5).collect();
    let norm = similarity(&v, &v).sqrt();
    v.into_iter().map(|x| (f64::from(x) / norm) as f32).collect()
}

/// A template enrolled, of [`vector`] and an origin that names the seed.
pub fn template(seed: u64) -> NewTemplate {
    let origin = Origin { photo: format!("photos/{seed}.jpg"), ..Origin::default() };
    NewTemplate { role: Role::Enrolled, vector: vector(seed), origin }
}

pub fn similarity(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// How far a store's similarity may be from the true one.
const TOLERANCE: f64 = 1e-5;

fn none() -> BTreeMap<String, String> {
    BTreeMap::new()
}

fn enrol(store: &mut dyn Store, name: &str, seeds: std::ops::Range<u64>) -> (PersonId, Vec<TemplateId>) {
    let person = store.create(name, &none()).unwrap();
    let templates: Vec<_> = seeds.map(template).collect();
    (person, store.add(person, &templates).unwrap())
}

fn found(store: &dyn Store, seed: u64, k: usize) -> Vec<(TemplateId, PersonId)> {
    let hits = store.nearest(&[&vector(seed)], k).unwrap().remove(0);
    hits.iter().map(|hit| (hit.template, hit.person)).collect()
}

fn visited(store: &dyn Store) -> Vec<StoredTemplate> {
    let mut all = Vec::new();
    store
        .visit(&mut |template| {
            all.push(template);
            Ok(())
        })
        .unwrap();
    all
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
}

#[track_caller]
fn assert_sound(store: &dyn Store) {
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

fn a_new_store_is_empty(new: NewStore<'_>) {
    let store = new();
    assert_eq!(store.model(), &model());
    assert!(!store.describe().is_empty());
    assert_eq!(store.people().unwrap(), []);
    assert_eq!(store.person("nobody").unwrap(), None);
    assert_eq!(store.person_by_id(1).unwrap(), None);
    assert_eq!(visited(&*store), []);
    assert_eq!(found(&*store, 1, 3), []);
    let size = store.size().unwrap();
    assert_eq!((size.people, size.templates), (0, 0));
    assert_sound(&*store);
}

fn people_come_back_as_they_were_made(new: NewStore<'_>) {
    let mut store = new();
    let labels: BTreeMap<String, String> =
        [("born", "1815"), ("", "empty key"), ("text", ""), ("žluťoučký", "🐎\n\"'")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    let ada = store.create("Ada", &labels).unwrap();
    let (grace, _) = enrol(&mut *store, "Grace", 0..3);
    assert!(0 < ada && ada < grace);

    let person = store.person("Ada").unwrap().unwrap();
    assert_eq!((person.id, &*person.name, &person.labels, person.templates), (ada, "Ada", &labels, 0));
    assert_eq!(store.person_by_id(ada).unwrap().unwrap(), person);
    let people = store.people().unwrap();
    assert_eq!(
        people.iter().map(|p| (p.id, &*p.name, p.templates)).collect::<Vec<_>>(),
        [(ada, "Ada", 0), (grace, "Grace", 3)]
    );
    assert_eq!(people[0], person);
    assert_eq!(store.person("ada").unwrap(), None, "names are compared letter by letter");
    let size = store.size().unwrap();
    assert_eq!((size.people, size.templates), (2, 3));
    assert_sound(&*store);
}

fn names_are_unique(new: NewStore<'_>) {
    let mut store = new();
    let labels: BTreeMap<String, String> = [("a".to_owned(), "b".to_owned())].into();
    let (ada, templates) = enrol(&mut *store, "Ada", 0..2);
    let grace = store.create("Grace", &none()).unwrap();
    assert_invalid(store.create("Ada", &labels));
    assert_invalid(store.update(grace, "Ada", &labels));
    assert_invalid(store.update(grace + 1000, "Edsger", &none()));
    assert_eq!(store.person("Grace").unwrap().unwrap().labels, none(), "a refused change changes nothing");

    store.update(ada, "Ada", &labels).unwrap();
    assert_eq!(store.person("Ada").unwrap().unwrap().labels, labels);
    store.update(ada, "Lady Lovelace", &none()).unwrap();
    assert_eq!(store.person("Ada").unwrap(), None);
    let renamed = store.person("Lady Lovelace").unwrap().unwrap();
    assert_eq!((renamed.id, renamed.labels, renamed.templates), (ada, none(), 2));
    assert_eq!(found(&*store, 0, 1), [(templates[0], ada)]);
    store.update(grace, "Ada", &none()).unwrap();
    assert_eq!(store.person("Ada").unwrap().unwrap().id, grace);
    assert_sound(&*store);
}

fn any_text_is_a_name(new: NewStore<'_>) {
    let mut store = new();
    let long = "ř".repeat(20_000);
    let names = [
        "",
        " ",
        "  ",
        "Renée",
        // The same to the eye: a letter and an accent.
        "Rene\u{301}e",
        "renée",
        "李小龍",
        "محمد علي",
        "👩‍🚀",
        "two\nlines\ttabbed",
        "O'Brien \"Bob\" \\ `x`",
        "%_*?",
        "'; DROP TABLE person; --",
        "../../etc/passwd",
        "NULL",
        "0",
        "\u{feff}\u{202e}",
        &long,
    ];
    let ids: Vec<_> = names.iter().map(|name| store.create(name, &none()).unwrap()).collect();
    for (name, id) in names.iter().zip(&ids) {
        let person = store.person(name).unwrap().unwrap();
        assert_eq!((person.id, &*person.name), (*id, *name));
        assert_invalid(store.create(name, &none()));
    }
    assert_eq!(store.people().unwrap().iter().map(|p| &*p.name).collect::<Vec<_>>(), names);
    // Not every database can hold a NUL: it may refuse, but not cut the name.
    match store.create("a\0b", &none()) {
        Ok(id) => assert_eq!(store.person_by_id(id).unwrap().unwrap().name, "a\0b"),
        Err(e) => assert!(matches!(e, Error::Invalid(_)), "{e:?}"),
    }
    assert_eq!(store.person("a").unwrap(), None);
    assert_sound(&*store);
}

fn numbers_are_never_given_again(new: NewStore<'_>) {
    let mut store = new();
    let (mut last_person, mut last_template) = (0, 0);
    for round in 0..5 {
        let (person, templates) = enrol(&mut *store, "same name", round..round + 3);
        assert!(person > last_person, "{person} after {last_person}");
        assert!(templates[0] > last_template && templates.is_sorted_by(|a, b| a < b), "{templates:?}");
        (last_person, last_template) = (person, templates[2]);
        assert_eq!(store.erase(person).unwrap(), templates);
    }
    assert_eq!(store.people().unwrap(), []);
}

fn templates_come_back_to_the_bit(new: NewStore<'_>) {
    let mut store = new();
    let mut odd = vec![0.0; DIM];
    (odd[0], odd[1], odd[2], odd[3]) = (-1.0, -0.0, f32::from_bits(1), -1e-30);
    let rich = Origin {
        photo: "C:\\Fotky\\žába 🐸.jpg".into(),
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
        rect: Some(Rect { left: -1.5, top: 2.25, right: 0.1, bottom: 1e6 }),
        sharpness: Some(0.1),
        pose: Some(Pose { roll: 179.9, yaw: -31.4 }),
    };
    let templates = [
        template(1),
        NewTemplate { role: Role::Rejected, vector: odd, origin: rich },
        NewTemplate { role: Role::Enrolled, vector: vector(3), origin: Origin::default() },
    ];
    let ada = store.create("Ada", &none()).unwrap();
    let grace = store.create("Grace", &none()).unwrap();
    assert_eq!(store.add(ada, &[]).unwrap(), [] as [TemplateId; 0]);
    let first = store.add(ada, &templates[..2]).unwrap();
    let other = store.add(grace, &[template(4)]).unwrap();
    let last = store.add(ada, &templates[2..]).unwrap();
    assert!(first[0] < first[1] && first[1] < other[0] && other[0] < last[0]);

    let kept = store.templates(ada).unwrap();
    assert_eq!(kept.iter().map(|t| t.id).collect::<Vec<_>>(), [first[0], first[1], last[0]]);
    for (kept, template) in kept.iter().zip(&templates) {
        assert_eq!((kept.person, &kept.template), (ada, template));
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&kept.template.vector), bits(&template.vector));
    }
    assert_eq!(store.templates(grace).unwrap().len(), 1);
    assert_eq!(store.templates(grace + 1000).unwrap(), []);
    assert_sound(&*store);
}

fn templates_that_cannot_be_compared_are_refused(new: NewStore<'_>) {
    let mut store = new();
    let ada = store.create("Ada", &none()).unwrap();
    let of = |vector: Vec<f32>| NewTemplate { vector, ..template(1) };
    for length in [0, 1, DIM - 1, DIM + 1] {
        let mut short = vec![0.0; length];
        short.iter_mut().take(1).for_each(|x| *x = 1.0);
        let result = store.add(ada, &[template(1), of(short)]);
        assert!(matches!(result, Err(Error::Mismatch(_))), "{result:?}");
    }
    let mut long = vector(1);
    long[0] += 1.0;
    let mut nan = vector(1);
    nan[3] = f32::NAN;
    let mut infinite = vector(1);
    infinite[3] = f32::INFINITY;
    for bad in [long, nan, infinite, vec![0.0; DIM]] {
        assert_invalid(store.add(ada, &[template(1), of(bad)]));
    }
    assert_invalid(store.add(ada + 1000, &[template(1)]));
    assert_eq!(visited(&*store), [], "nothing is added when one cannot be");
    assert_eq!(found(&*store, 1, 1), []);
}

fn only_enrolled_templates_are_found(new: NewStore<'_>) {
    let mut store = new();
    let ada = store.create("Ada", &none()).unwrap();
    let rejected = NewTemplate { role: Role::Rejected, ..template(1) };
    let ids = store.add(ada, &[rejected, template(2)]).unwrap();
    assert_eq!(found(&*store, 1, 5), [(ids[1], ada)]);
    assert_eq!(store.person("Ada").unwrap().unwrap().templates, 1);
    assert_eq!(store.people().unwrap()[0].templates, 1);
    assert_eq!(store.size().unwrap().templates, 2);
    assert_eq!(visited(&*store).iter().map(|t| t.template.role).collect::<Vec<_>>(), [Role::Rejected, Role::Enrolled]);
    assert_eq!(store.erase(ada).unwrap(), ids);
    assert_eq!(visited(&*store), []);
}

fn the_first_enrolled_vector_stands_for_a_person(new: NewStore<'_>) {
    let mut store = new();
    let store = store.as_mut();
    let ada = store.create("Ada", &none()).unwrap();
    store.add(ada, &[NewTemplate { role: Role::Rejected, ..template(1) }, template(2), template(3)]).unwrap();
    let (grace, _) = enrol(store, "Grace", 4..6);
    let nobody = store.create("nobody", &none()).unwrap();
    let found = store.first_vectors(&[grace, nobody, ada, 1000, ada]).unwrap();
    assert_eq!(found, [Some(vector(4)), None, Some(vector(2)), None, Some(vector(2))]);
    assert_eq!(store.first_vectors(&[]).unwrap(), []);
    let enrolled = |i| (Role::Enrolled, vector(i));
    let found = store.vectors(&[nobody, ada, 1000, grace]).unwrap();
    assert_eq!(
        found,
        [vec![], vec![(Role::Rejected, vector(1)), enrolled(2), enrolled(3)], vec![], vec![enrolled(4), enrolled(5)]]
    );
}

fn who_is_erased_is_gone(new: NewStore<'_>) {
    let mut store = new();
    let (ada, of_ada) = enrol(&mut *store, "Ada", 0..7);
    let (grace, of_grace) = enrol(&mut *store, "Grace", 7..10);
    assert_eq!(found(&*store, 2, 1), [(of_ada[2], ada)]);
    assert_invalid(store.erase(grace + 1000));

    assert_eq!(store.erase(ada).unwrap(), of_ada);
    assert_eq!(store.person("Ada").unwrap(), None);
    assert_eq!(store.person_by_id(ada).unwrap(), None);
    assert_eq!(store.templates(ada).unwrap(), []);
    assert!(visited(&*store).iter().all(|t| t.person == grace));
    let mut left = found(&*store, 2, 100);
    left.sort_unstable();
    assert_eq!(left, of_grace.iter().map(|&id| (id, grace)).collect::<Vec<_>>());
    assert_eq!((store.size().unwrap().people, store.size().unwrap().templates), (1, 3));
    assert_invalid(store.erase(ada));
    assert_invalid(store.update(ada, "Ada", &none()));
    assert_invalid(store.add(ada, &[template(1)]));

    let again = store.create("Ada", &none()).unwrap();
    assert_eq!(store.person("Ada").unwrap().unwrap().templates, 0);
    assert_eq!(store.erase(again).unwrap(), [] as [TemplateId; 0]);
    assert_sound(&*store);
}

fn templates_are_handed_over(new: NewStore<'_>) {
    let mut store = new();
    let (ada, of_ada) = enrol(&mut *store, "Ada", 0..2);
    let (byron, of_byron) = enrol(&mut *store, "Ada Byron", 2..4);
    let rejected = NewTemplate { role: Role::Rejected, ..template(9) };
    let more = store.add(byron, std::slice::from_ref(&rejected)).unwrap();
    assert_eq!(found(&*store, 3, 1), [(of_byron[1], byron)]);

    assert_invalid(store.hand_over(byron, byron + 1000));
    assert_invalid(store.hand_over(byron + 1000, ada));
    store.hand_over(byron, byron).unwrap();
    assert_eq!(store.templates(byron).unwrap().len(), 3, "handing to oneself changes nothing");

    store.hand_over(byron, ada).unwrap();
    assert_eq!(store.templates(byron).unwrap(), []);
    assert_eq!(store.person("Ada Byron").unwrap().unwrap().templates, 0);
    assert_eq!(store.person("Ada").unwrap().unwrap().templates, 4);
    let all: Vec<_> = of_ada.iter().chain(&of_byron).chain(&more).copied().collect();
    let kept = store.templates(ada).unwrap();
    assert_eq!(kept.iter().map(|t| t.id).collect::<Vec<_>>(), all, "numbers stay");
    assert!(kept.iter().all(|t| t.person == ada));
    assert_eq!(kept[4].template, rejected);
    assert_eq!(found(&*store, 3, 1), [(of_byron[1], ada)]);
    assert_eq!(store.erase(byron).unwrap(), [] as [TemplateId; 0]);
    assert_eq!(store.erase(ada).unwrap(), all);
    assert_sound(&*store);
}

fn a_visit_sees_all_by_number_and_ends_at_an_error(new: NewStore<'_>) {
    let mut store = new();
    let (ada, mut all) = enrol(&mut *store, "Ada", 0..300);
    let (grace, more) = enrol(&mut *store, "Grace", 300..500);
    all.extend(more);
    all.extend(store.add(ada, &[template(500)]).unwrap());
    store.hand_over(ada, grace).unwrap();
    let seen = visited(&*store);
    assert_eq!(seen.iter().map(|t| t.id).collect::<Vec<_>>(), all);
    for (seed, seen) in (0..).zip(&seen) {
        assert_eq!((seen.person, &seen.template), (grace, &template(seed)));
    }
    let mut count = 0;
    let result = store.visit(&mut |_| {
        count += 1;
        if count == 7 { Err(Error::Interrupted) } else { Ok(()) }
    });
    assert!(matches!(result, Err(Error::Interrupted)));
    assert_eq!(count, 7);
    assert_eq!(visited(&*store).len(), all.len(), "another visit starts anew");
}

/// Checks `nearest` of a few probes against a plain loop over `templates`.
#[track_caller]
fn assert_nearest(store: &dyn Store, templates: &BTreeMap<TemplateId, (PersonId, Vec<f32>)>, k: usize, seed: u64) {
    let probes: Vec<Vec<f32>> = (seed..seed + 3).map(vector).collect();
    let slices: Vec<&[f32]> = probes.iter().map(Vec::as_slice).collect();
    let found = store.nearest(&slices, k).unwrap();
    assert_eq!(found.len(), probes.len());
    for (found, probe) in found.iter().zip(&probes) {
        let mut truth: Vec<f64> = templates.values().map(|(_, vector)| similarity(vector, probe)).collect();
        truth.sort_unstable_by(|a, b| b.total_cmp(a));
        truth.truncate(k);
        assert_eq!(found.len(), truth.len());
        assert!(found.is_sorted_by(
            |a, b| a.similarity > b.similarity || (a.similarity == b.similarity && a.template < b.template)
        ));
        for (hit, truth) in found.iter().zip(truth) {
            let (person, vector) = &templates[&hit.template];
            assert_eq!(hit.person, *person);
            let own = similarity(vector, probe);
            assert!((f64::from(hit.similarity) - own).abs() <= TOLERANCE, "{hit:?}, truly {own}");
            assert!((own - truth).abs() <= TOLERANCE, "{own} where {truth} should be");
        }
    }
}

fn nearest_is_what_a_plain_loop_finds(new: NewStore<'_>) {
    let mut store = new();
    let mut all = BTreeMap::new();
    for person in 0..60 {
        let seeds = 5 * person..5 * person + 5;
        let (id, templates) = enrol(&mut *store, &person.to_string(), seeds.clone());
        all.extend(templates.into_iter().zip(seeds.map(|seed| (id, vector(seed)))));
    }
    for k in [0, 1, 2, 17, 300, 10_000] {
        assert_nearest(&*store, &all, k, 1000);
    }
    let itself = store.nearest(&[&vector(123)], 1).unwrap().remove(0).remove(0);
    assert_eq!(all[&itself.template].1, vector(123));
    assert!((itself.similarity - 1.0).abs() < 1e-5);
    assert_eq!(store.nearest(&[], 3).unwrap(), [] as [Vec<_>; 0]);
}

fn of_equals_the_lower_number_comes_first(new: NewStore<'_>) {
    let mut store = new();
    let (ada, _) = enrol(&mut *store, "Ada", 0..1);
    let (grace, _) = enrol(&mut *store, "Grace", 1..2);
    let mut same = Vec::new();
    for _ in 0..6 {
        same.extend(store.add(ada, &[template(7)]).unwrap().into_iter().map(|id| (id, ada)));
        same.extend(store.add(grace, &[template(7)]).unwrap().into_iter().map(|id| (id, grace)));
    }
    assert_eq!(found(&*store, 7, 5), same[..5]);
    store.hand_over(grace, ada).unwrap();
    let same: Vec<_> = same.into_iter().map(|(id, _)| (id, ada)).collect();
    assert_eq!(found(&*store, 7, 12), same);
    // Templates of later people in the place of erased ones come last all the same.
    store.erase(ada).unwrap();
    let (ada, first) = enrol(&mut *store, "Ada", 7..8);
    assert_eq!(found(&*store, 7, 1), [(first[0], ada)]);
    let second = store.add(grace, &[template(7)]).unwrap();
    assert_eq!(found(&*store, 7, 3), [(first[0], ada), (second[0], grace)]);
}

fn probes_that_cannot_be_compared_are_refused(new: NewStore<'_>) {
    let mut store = new();
    enrol(&mut *store, "Ada", 0..4);
    let good = vector(1);
    for length in [0, DIM - 1, DIM + 1] {
        let result = store.nearest(&[&good, &vec![0.25; length]], 1);
        assert!(matches!(result, Err(Error::Mismatch(_))), "{result:?}");
    }
    let mut nan = good.clone();
    nan[0] = f32::NAN;
    for bad in [vec![0.0; DIM], vec![1.0; DIM], nan] {
        assert_invalid(store.nearest(&[&good, &bad], 1));
    }
}

fn notes_are_kept(new: NewStore<'_>) {
    let mut store = new();
    assert_eq!(store.note("cohort").unwrap(), None);
    store.set_note("cohort", None).unwrap();
    let large: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let notes: [(&str, &[u8]); 5] =
        [("cohort", b"\0\xff\0"), ("empty", b""), ("", b"no name"), ("klíč/🔑 'x'", b"odd"), ("large", &large)];
    for (key, value) in notes {
        store.set_note(key, Some(value)).unwrap();
    }
    for (key, value) in notes {
        assert_eq!(store.note(key).unwrap().as_deref(), Some(value));
    }
    store.set_note("large", Some(b"small")).unwrap();
    store.set_note("cohort", None).unwrap();
    assert_eq!(store.note("large").unwrap().as_deref(), Some(&b"small"[..]));
    assert_eq!(store.note("cohort").unwrap(), None);
    assert_eq!(store.note("Empty").unwrap(), None);
    assert_sound(&*store);
}

fn atomic_work_shows_its_changes_and_keeps_them(new: NewStore<'_>) {
    let mut store = new();
    let (ada, of_ada) = enrol(&mut *store, "Ada", 0..3);
    assert_eq!(found(&*store, 0, 1), [(of_ada[0], ada)]);
    let mut new_one = (0, Vec::new());
    store
        .atomically(&mut |store| {
            new_one = enrol(store, "Grace", 3..6);
            assert_eq!(store.person("Grace")?.map(|p| p.templates), Some(3));
            assert_eq!(found(store, 4, 1), [(new_one.1[1], new_one.0)]);
            assert_eq!(store.erase(ada)?, of_ada);
            assert_eq!(found(store, 0, 10).len(), 3);
            store.set_note("note", Some(b"value"))?;
            assert_eq!(store.note("note")?.as_deref(), Some(&b"value"[..]));
            // What is refused is not done; the rest of the work goes on.
            assert_invalid(store.create("Grace", &none()));
            assert_invalid(store.erase(ada));
            assert!(store.add(new_one.0, &[NewTemplate { vector: vec![1.0], ..template(1) }]).is_err());
            assert_invalid(store.atomically(&mut |_| Ok(())));
            store.create("Edsger", &none())?;
            Ok(())
        })
        .unwrap();
    let names: Vec<_> = store.people().unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["Grace", "Edsger"]);
    assert_eq!(store.note("note").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(found(&*store, 4, 1), [(new_one.1[1], new_one.0)]);
    assert_eq!(visited(&*store).len(), 3);
    assert_sound(&*store);
}

fn atomic_work_that_fails_leaves_nothing(new: NewStore<'_>) {
    let mut store = new();
    let (ada, of_ada) = enrol(&mut *store, "Ada", 0..3);
    let (grace, of_grace) = enrol(&mut *store, "Grace", 3..6);
    store.set_note("note", Some(b"before")).unwrap();
    let before = (store.people().unwrap(), visited(&*store));
    // With an index that has seen the changes, and with one that has not.
    for looks in [false, true, true] {
        let result = store.atomically(&mut |store| {
            store.erase(ada)?;
            let (edsger, _) = enrol(store, "Edsger", 6..9);
            store.hand_over(grace, edsger)?;
            store.update(grace, "Ada", &none())?;
            store.set_note("note", None)?;
            store.set_note("other", Some(b"x"))?;
            if looks {
                assert_eq!(found(store, 7, 1)[0].1, edsger);
                assert_eq!(found(store, 0, 10).len(), 6);
            }
            Err(Error::Mismatch("as the work says".into()))
        });
        assert!(matches!(result, Err(Error::Mismatch(reason)) if reason == "as the work says"));
        assert_eq!((store.people().unwrap(), visited(&*store)), before);
        assert_eq!(store.note("note").unwrap().as_deref(), Some(&b"before"[..]));
        assert_eq!(store.note("other").unwrap(), None);
        for (seed, id) in (0..).zip(&of_ada) {
            assert_eq!(found(&*store, seed, 1), [(*id, ada)]);
        }
        for (seed, id) in (3..).zip(&of_grace) {
            assert_eq!(found(&*store, seed, 1), [(*id, grace)]);
        }
        assert_eq!(found(&*store, 7, 100).len(), 6);
    }
    // Numbers of the failed work may be given again; the index must not mistake them.
    let (edsger, templates) = enrol(&mut *store, "Edsger", 20..23);
    assert_eq!(found(&*store, 21, 1), [(templates[1], edsger)]);
    assert_eq!(found(&*store, 21, 100).len(), 9);
    assert_sound(&*store);
}

fn any_order_of_changes_agrees_with_a_plain_list(new: NewStore<'_>) {
    let mut store = new();
    let mut random = fastrand::Rng::with_seed(5);
    let mut people: Vec<PersonId> = Vec::new();
    let mut all: BTreeMap<TemplateId, (PersonId, Vec<f32>)> = BTreeMap::new();
    for round in 0..300u64 {
        let chosen = |random: &mut fastrand::Rng, people: &[PersonId]| people[random.usize(..people.len())];
        match random.u8(..10) {
            0..3 => people.push(store.create(&round.to_string(), &none()).unwrap()),
            _ if people.len() < 2 => {}
            3..7 => {
                let (person, seed) = (chosen(&mut random, &people), 10 * round);
                let templates: Vec<_> = (seed..seed + random.u64(..4)).map(template).collect();
                let ids = store.add(person, &templates).unwrap();
                all.extend(ids.into_iter().zip(templates.into_iter().map(|t| (person, t.vector))));
            }
            7 => {
                let person = people.swap_remove(random.usize(..people.len()));
                let gone = store.erase(person).unwrap();
                assert!(gone.iter().all(|id| all.remove(id).is_some_and(|(owner, _)| owner == person)));
                assert!(all.values().all(|(owner, _)| *owner != person));
            }
            8 => {
                let (from, into) = (chosen(&mut random, &people), chosen(&mut random, &people));
                store.hand_over(from, into).unwrap();
                all.values_mut().filter(|t| t.0 == from).for_each(|t| t.0 = into);
            }
            _ => assert_nearest(&*store, &all, random.usize(..9), 10_000 + round),
        }
    }
    assert_nearest(&*store, &all, 1000, 1);
    people.sort_unstable();
    assert_eq!(store.people().unwrap().iter().map(|p| p.id).collect::<Vec<_>>(), people);
    let seen: BTreeMap<_, _> = visited(&*store).into_iter().map(|t| (t.id, (t.person, t.template.vector))).collect();
    assert_eq!(seen, all);
    assert_sound(&*store);
}

/// For stores that several can have open: `first` and `second` are of one store, empty.
pub fn handles_see_each_other(first: &mut dyn Store, second: &mut dyn Store) {
    let (ada, of_ada) = enrol(first, "Ada", 0..5);
    assert_eq!(second.person("Ada").unwrap().unwrap().templates, 5);
    assert_eq!(found(second, 3, 1), [(of_ada[3], ada)]);
    assert_invalid(second.create("Ada", &none()));

    let (grace, of_grace) = enrol(second, "Grace", 5..10);
    assert_eq!(found(first, 7, 1), [(of_grace[2], grace)]);
    assert_eq!(second.erase(ada).unwrap(), of_ada);
    assert_eq!(found(first, 3, 100).len(), 5);
    assert_eq!(first.person("Ada").unwrap(), None);
    second.hand_over(grace, grace).unwrap();
    second.update(grace, "Admiral Hopper", &none()).unwrap();
    assert_eq!(first.person_by_id(grace).unwrap().unwrap().name, "Admiral Hopper");

    // What fails is never seen.
    let failed = first.atomically(&mut |store| {
        enrol(store, "Edsger", 10..12);
        found(store, 10, 1);
        Err(Error::Interrupted)
    });
    assert!(failed.is_err());
    assert_eq!(second.person("Edsger").unwrap(), None);
    assert_eq!(found(second, 10, 100).len(), 5);
    let (barbara, of_barbara) = enrol(second, "Barbara", 20..22);
    assert_eq!(found(first, 20, 1), [(of_barbara[0], barbara)]);

    second.set_note("note", Some(b"value")).unwrap();
    assert_eq!(first.note("note").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(visited(first), visited(second));
    assert_sound(first);
    assert_sound(second);
}
