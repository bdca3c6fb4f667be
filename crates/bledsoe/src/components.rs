//! Connected components: who belongs together, when pairs say who is linked. In: links between numbers. Out: for each
//! number, the least one of its component.

/// Numbers below a bound, in components. Tarjan's union by links with path halving (JACM 22, 1975).
#[derive(Debug, Clone)]
pub(crate) struct Components(Vec<usize>);

impl Components {
    /// `n` numbers, each alone.
    pub(crate) fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    /// The least number of the component of `x`, which must be below the bound.
    pub(crate) fn find(&mut self, mut x: usize) -> usize {
        while self.0[x] != x {
            self.0[x] = self.0[self.0[x]];
            x = self.0[x];
        }
        x
    }

    /// Makes one component of those of `a` and `b`.
    pub(crate) fn link(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_join_whole_components() {
        let mut components = Components::new(7);
        for (a, b) in [(5, 6), (1, 2), (2, 3), (6, 3), (1, 5)] {
            components.link(a, b);
        }
        let found: Vec<usize> = (0..7).map(|x| components.find(x)).collect();
        assert_eq!(found, [0, 1, 1, 1, 4, 1, 1]);
    }
}
