//! How well similarities tell people apart: d', for comparisons of one network with itself.

use super::bootstrap::{Bootstrap, draw, quantile};

/// Similarities computed in f32 that differ by less are the same, and a smaller spread is rounding.
const RESOLUTION: f64 = 1e-6;

/// Count, sum and sum of squares of similarities.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Moments {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, other: Self, times: f64) {
        self.n += times * other.n;
        self.sum += times * other.sum;
        self.squares += times * other.squares;
    }

    fn mean(&self) -> f64 {
        self.sum / self.n
    }

    fn variance(&self) -> f64 {
        (self.squares / self.n - self.mean().powi(2)).max(0.0)
    }
}

/// Similarities of all pairs of faces, summed up person by person.
#[derive(Debug, Clone, PartialEq)]
pub struct Separation {
    /// For people a and b, `a <= b`: the similarities of their faces, at `a * people + b`.
    pairs: Vec<Moments>,
    people: usize,
}

impl Separation {
    /// Of faces, each with its person's number (from 0, without gaps), and the similarity of two faces by their places.
    pub fn of(faces: &[usize], similarity: impl Fn(usize, usize) -> f64) -> Self {
        let people = faces.iter().max().map_or(0, |last| last + 1);
        let mut pairs = vec![Moments::default(); people * people];
        for (i, &a) in faces.iter().enumerate() {
            for (j, &b) in faces.iter().enumerate().skip(i + 1) {
                let similarity = similarity(i, j);
                let one = Moments { n: 1.0, sum: similarity, squares: similarity * similarity };
                pairs[a.min(b) * people + a.max(b)].add(one, 1.0);
            }
        }
        Self { pairs, people }
    }

    /// People.
    pub fn people(&self) -> usize {
        self.people
    }

    /// Pairs of one person.
    pub fn genuine(&self) -> usize {
        self.pooled(&vec![1.0; self.people]).0.n as usize
    }

    /// Pairs of different people.
    pub fn impostor(&self) -> usize {
        self.pooled(&vec![1.0; self.people]).1.n as usize
    }

    /// d': mean similarity of one person's pairs less that of different people's, over the root of the mean of their
    /// variances. 0 where all similarities are the same; `None` without pairs.
    pub fn d_prime(&self) -> Option<f64> {
        self.drawn(&vec![1.0; self.people])
    }

    /// The interval of `share` (0.99) of this d' less that of `other`, of the same faces: people are drawn anew, the same
    /// for both. `None` without people or where d' is not defined.
    pub fn difference_interval(&self, other: &Self, share: f64, bootstrap: &Bootstrap) -> Option<[f64; 2]> {
        if self.people != other.people || self.people == 0 {
            return None;
        }
        let difference = |seed| {
            let times = draw(self.people, seed);
            Some(self.drawn(&times)? - other.drawn(&times)?)
        };
        let mut differences: Vec<f64> = bootstrap.seeds().into_iter().filter_map(difference).collect();
        differences.sort_unstable_by(f64::total_cmp);
        Some([quantile(&differences, (1.0 - share) / 2.0)?, quantile(&differences, (1.0 + share) / 2.0)?])
    }

    /// The pairs of one and of different people, if person `i` were there `times[i]` times. Two drawings of one person are
    /// no different people.
    fn pooled(&self, times: &[f64]) -> (Moments, Moments) {
        let (mut genuine, mut impostor) = (Moments::default(), Moments::default());
        for a in 0..self.people {
            genuine.add(self.pairs[a * self.people + a], times[a]);
            for b in a + 1..self.people {
                impostor.add(self.pairs[a * self.people + b], times[a] * times[b]);
            }
        }
        (genuine, impostor)
    }

    fn drawn(&self, times: &[f64]) -> Option<f64> {
        let (genuine, impostor) = self.pooled(times);
        if genuine.n < 1.0 || impostor.n < 1.0 {
            return None;
        }
        let spread = ((genuine.variance() + impostor.variance()) / 2.0).sqrt().max(RESOLUTION);
        Some((genuine.mean() - impostor.mean()) / spread).filter(|d| d.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_prime_by_hand() {
        let faces = [0, 0, 1, 1];
        let table = [[0.0, 0.8, 0.1, 0.3], [0.0, 0.0, 0.2, 0.2], [0.0, 0.0, 0.0, 0.6]];
        let separation = Separation::of(&faces, |a, b| table[a][b]);
        assert_eq!((separation.people(), separation.genuine(), separation.impostor()), (2, 2, 4));
        // Means 0.7 and 0.2, variances 0.01 and 0.005.
        let expected = 0.5 / f64::sqrt(0.0075);
        assert!((separation.d_prime().unwrap() - expected).abs() < 1e-9);
        assert_eq!(Separation::of(&faces, |_, _| 0.5).d_prime(), Some(0.0));
        assert_eq!(Separation::of(&[], |_, _| 0.5).d_prime(), None);
    }

    #[test]
    fn a_clearer_separation_is_told_from_chance() {
        // 40 people with 3 faces each; noise of the same kind, half as large in `clear`.
        let faces: Vec<usize> = (0..120).map(|i| i / 3).collect();
        let similarity = |noise: f64, seed: u64| {
            let faces = faces.clone();
            move |a: usize, b: usize| {
                let mut generator = fastrand::Rng::with_seed(seed + (a * 1000 + b) as u64);
                let base = if faces[a] == faces[b] { 0.7 } else { 0.1 };
                base + noise * (generator.f64() + generator.f64() - 1.0)
            }
        };
        let rough = Separation::of(&faces, similarity(0.4, 0));
        let clear = Separation::of(&faces, similarity(0.2, 0));
        let again = Separation::of(&faces, similarity(0.4, 1_000_000));
        let bootstrap = Bootstrap { replicates: 300, seed: 0 };
        let [low, high] = clear.difference_interval(&rough, 0.99, &bootstrap).unwrap();
        assert!(low > 2.5 && high < 5.0, "{low} {high}");
        let [low, high] = again.difference_interval(&rough, 0.99, &bootstrap).unwrap();
        assert!(low < 0.0 && high > 0.0, "{low} {high}");
    }
}
