//! Inner products of rows with up to four probes at a time, in the vector registers that this CPU has.
//!
//! A row is read once for all probes of a call, so a single probe runs at memory bandwidth and a batch at the speed of
//! the multipliers. The sums of a row do not depend on how many probes share the call, so a batch gives the very bits
//! that single probes give. Another CPU may differ in the last bit of a float.

use half::{f16, slice::HalfFloatSliceExt};

use super::half_bytes::{LANES, Lanes, Probe, RAISED};

/// The vector registers to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Simd {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Whatever the compiler makes of plain loops: NEON on ARM.
    Plain,
}

impl Simd {
    /// All that this CPU can run, the fastest first.
    pub(super) fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni")
            {
                all.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Plain);
        all
    }

    /// The fastest that this CPU can run.
    pub(super) fn detect() -> Self {
        Self::available().first().copied().unwrap_or(Self::Plain)
    }

    /// `out[r][p]` becomes the inner product of row `r` and probe `p`. `rows` holds `out.len()` rows as long as the probes.
    pub(super) fn f32<const P: usize>(self, rows: &[f32], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        match self {
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::f32_avx512(rows, probes, out) },
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::f32_avx2(rows, probes, out) },
            Self::Plain => each_row(rows, probes, out, f32_dot::<P, { cfg!(target_arch = "aarch64") }>),
        }
    }

    /// As [`Simd::f32`], of half-precision rows.
    pub(super) fn f16<const P: usize>(self, rows: &[f16], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        match self {
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::f16_avx512(rows, probes, out) },
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::f16_avx2(rows, probes, out) },
            Self::Plain => {
                let mut wide = vec![0.0; probes.first().map_or(0, |p| p.len())];
                each_row(rows, probes, out, |row, probes| {
                    row.convert_to_f32_slice(&mut wide);
                    f32_dot::<P, { cfg!(target_arch = "aarch64") }>(&wide, probes)
                });
            }
        }
    }

    /// As [`Simd::f32`], of bytes, exact. `sums` are the probes' own.
    pub(super) fn int8<const P: usize>(self, rows: &[i8], probes: [&[i8]; P], sums: [i32; P], out: &mut [[i32; P]]) {
        match self {
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::int8_avx512(rows, probes, sums, out) },
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::int8_avx2(rows, probes, out) },
            Self::Plain => each_row(rows, probes, out, int8_dot),
        }
    }

    /// `out[p][b]` becomes the inner products of probe `p` and the rows of block `b`, as exact as their scales are. There
    /// are as many blocks as `scales`, of rows as many words long as the probes.
    pub(super) fn int4<const P: usize>(
        self,
        blocks: &[Lanes],
        scales: &[[f32; LANES]],
        probes: [&Probe; P],
        out: [&mut [[f32; LANES]]; P],
    ) {
        match self {
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { x86::int4_avx512(blocks, scales, probes, out) },
            // SAFETY: `available` found the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::int4_avx2(blocks, scales, probes, out) },
            Self::Plain => each_block(blocks, scales, probes, out, int4_products),
        }
    }
}

#[inline(always)]
fn each_row<R, Q, O, const P: usize>(
    rows: &[R],
    probes: [&[Q]; P],
    out: &mut [[O; P]],
    mut dot: impl FnMut(&[R], [&[Q]; P]) -> [O; P],
) {
    let Some(dim) = probes.first().map(|p| p.len()) else { return };
    for (row, out) in rows.chunks_exact(dim).zip(out) {
        *out = dot(row, probes.map(|p| &p[..dim]));
    }
}

/// `products` gets a block, the probes, and of each probe what to begin with: what halves are raised by makes the products
/// too much by it.
#[inline(always)]
fn each_block<const P: usize>(
    blocks: &[Lanes],
    scales: &[[f32; LANES]],
    probes: [&Probe; P],
    mut out: [&mut [[f32; LANES]]; P],
    mut products: impl FnMut(&[Lanes], [&[[i32; 2]]; P], [i32; P]) -> [[i32; LANES]; P],
) {
    let Some(width) = probes.first().map(|p| p.words.len()) else { return };
    let words = probes.map(|p| &p.words[..width]);
    let begin = probes.map(|probe| -i32::from(RAISED) * probe.sum);
    for (b, (block, scales)) in blocks.chunks_exact(width).zip(scales).enumerate() {
        let products = products(block, words, begin);
        for ((out, products), probe) in out.iter_mut().zip(products).zip(probes) {
            let scale = probe.scale;
            out[b] = std::array::from_fn(|lane| products[lane] as f32 * (scales[lane] * scale));
        }
    }
}

/// Sixteen partial sums, then halves onto halves: an order that registers of any width can keep.
#[inline(always)]
fn f32_dot<const P: usize, const FMA: bool>(row: &[f32], probes: [&[f32]; P]) -> [f32; P] {
    let mut sums = [[0.0f32; 16]; P];
    let (blocks, rest) = row.as_chunks::<16>();
    for (i, block) in blocks.iter().enumerate() {
        for (sums, probe) in sums.iter_mut().zip(&probes) {
            let probe = &probe[16 * i..16 * i + 16];
            for lane in 0..16 {
                sums[lane] = if FMA {
                    block[lane].mul_add(probe[lane], sums[lane])
                } else {
                    block[lane] * probe[lane] + sums[lane]
                };
            }
        }
    }
    let done = row.len() - rest.len();
    let mut products = [0.0; P];
    for ((product, sums), probe) in products.iter_mut().zip(&sums).zip(&probes) {
        let tail: f32 = rest.iter().zip(&probe[done..]).map(|(x, y)| x * y).sum();
        *product = fold(*sums) + tail;
    }
    products
}

#[inline(always)]
fn fold(mut sums: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
    }
    sums[0]
}

#[inline(always)]
fn int8_dot<const P: usize>(row: &[i8], probes: [&[i8]; P]) -> [i32; P] {
    probes.map(|probe| row.iter().zip(probe).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum())
}

#[inline(always)]
fn int4_products<const P: usize>(block: &[Lanes], probes: [&[[i32; 2]]; P], begin: [i32; P]) -> [[i32; LANES]; P] {
    let mut products = begin.map(|begin| [begin; LANES]);
    for (products, probe) in products.iter_mut().zip(probes) {
        for (word, probe) in block.iter().zip(probe) {
            let [lower, upper] = probe.map(|four| four.to_ne_bytes().map(|x| i32::from(x.cast_signed())));
            for (product, pairs) in products.iter_mut().zip(word.0) {
                for ((pair, x), y) in pairs.into_iter().zip(lower).zip(upper) {
                    *product += i32::from(pair & 15) * x + i32::from(pair >> 4) * y;
                }
            }
        }
    }
    products
}

#[cfg(target_arch = "x86_64")]
// A closure takes on the registers of the function around it; a function that is only named is compiled without them.
#[allow(clippy::redundant_closure)]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm_add_epi32, _mm_loadu_si128, _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32,
        _mm256_and_si256, _mm256_castsi256_si128, _mm256_cvtph_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi8,
        _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_ps, _mm256_srli_epi16, _mm256_storeu_ps,
        _mm256_storeu_si256, _mm512_add_epi32, _mm512_and_si512, _mm512_castsi512_si256, _mm512_cvtph_ps,
        _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_fmadd_ps, _mm512_load_si512, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_maskz_loadu_epi8, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_set1_epi32,
        _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16, _mm512_storeu_ps, _mm512_storeu_si512,
        _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
    };

    use half::f16;

    use super::{LANES, Lanes, Probe, each_block, each_row, f32_dot, fold, int8_dot};

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn f32_avx512<const P: usize>(rows: &[f32], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        each_row(rows, probes, out, |row, probes| f32_dot::<P, true>(row, probes));
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn f32_avx2<const P: usize>(rows: &[f32], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        each_row(rows, probes, out, |row, probes| f32_dot::<P, true>(row, probes));
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn f16_avx512<const P: usize>(rows: &[f16], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        each_row(rows, probes, out, |row, probes| {
            let (blocks, rest) = row.as_chunks::<16>();
            let mut sums = [_mm512_setzero_ps(); P];
            for (i, block) in blocks.iter().enumerate() {
                // SAFETY: a block is 32 bytes.
                let block = _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
                for (sum, probe) in sums.iter_mut().zip(&probes) {
                    // SAFETY: the slice is 16 floats.
                    let probe = unsafe { _mm512_loadu_ps(probe[16 * i..16 * i + 16].as_ptr()) };
                    *sum = _mm512_fmadd_ps(block, probe, *sum);
                }
            }
            let mut products = [0.0; P];
            for ((product, sum), probe) in products.iter_mut().zip(sums).zip(&probes) {
                let mut lanes = [0.0; 16];
                // SAFETY: the array is 16 floats.
                unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
                *product = fold(lanes) + tail(rest, &probe[row.len() - rest.len()..]);
            }
            products
        });
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn f16_avx2<const P: usize>(rows: &[f16], probes: [&[f32]; P], out: &mut [[f32; P]]) {
        each_row(rows, probes, out, |row, probes| {
            let (blocks, rest) = row.as_chunks::<8>();
            let mut sums = [[_mm256_setzero_ps(); 2]; P];
            for (i, block) in blocks.iter().enumerate() {
                // SAFETY: a block is 16 bytes.
                let block = _mm256_cvtph_ps(unsafe { _mm_loadu_si128(block.as_ptr().cast()) });
                for (sums, probe) in sums.iter_mut().zip(&probes) {
                    // SAFETY: the slice is 8 floats.
                    let probe = unsafe { _mm256_loadu_ps(probe[8 * i..8 * i + 8].as_ptr()) };
                    sums[i % 2] = _mm256_fmadd_ps(block, probe, sums[i % 2]);
                }
            }
            let mut products = [0.0; P];
            for ((product, sums), probe) in products.iter_mut().zip(sums).zip(&probes) {
                let mut lanes = [0.0; 16];
                for (lanes, sum) in lanes.as_chunks_mut::<8>().0.iter_mut().zip(sums) {
                    // SAFETY: the array is 8 floats.
                    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
                }
                *product = fold(lanes) + tail(rest, &probe[row.len() - rest.len()..]);
            }
            products
        });
    }

    #[inline(always)]
    fn tail(row: &[f16], probe: &[f32]) -> f32 {
        row.iter().zip(probe).map(|(x, y)| x.to_f32() * y).sum()
    }

    /// VNNI multiplies unsigned by signed bytes: rows are raised by 128, and 128 times the probe's sum is taken off.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn int8_avx512<const P: usize>(rows: &[i8], probes: [&[i8]; P], sums: [i32; P], out: &mut [[i32; P]]) {
        let raise = _mm512_set1_epi8(i8::MIN);
        each_row(rows, probes, out, |row, probes| {
            let (blocks, rest) = row.as_chunks::<64>();
            let mut totals = [_mm512_setzero_si512(); P];
            for (i, block) in blocks.iter().enumerate() {
                // SAFETY: a block is 64 bytes.
                let block = _mm512_xor_si512(unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }, raise);
                for (total, probe) in totals.iter_mut().zip(&probes) {
                    // SAFETY: the slice is 64 bytes.
                    let probe = unsafe { _mm512_loadu_si512(probe[64 * i..64 * i + 64].as_ptr().cast()) };
                    *total = _mm512_dpbusd_epi32(*total, block, probe);
                }
            }
            if !rest.is_empty() {
                let block = _mm512_xor_si512(part(rest), raise);
                for (total, probe) in totals.iter_mut().zip(&probes) {
                    let probe = part(&probe[row.len() - rest.len()..]);
                    *total = _mm512_dpbusd_epi32(*total, block, probe);
                }
            }
            let mut products = add_up(totals);
            for (product, sum) in products.iter_mut().zip(sums) {
                *product -= 128 * sum;
            }
            products
        });
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn int4_avx512<const P: usize>(
        blocks: &[Lanes],
        scales: &[[f32; LANES]],
        probes: [&Probe; P],
        out: [&mut [[f32; LANES]]; P],
    ) {
        let low = _mm512_set1_epi8(15);
        each_block(blocks, scales, probes, out, |block, probes, begin| {
            // Lower and upper halves apart, for each multiplication waits for the one before.
            let mut totals = begin.map(|begin| [_mm512_set1_epi32(begin), _mm512_setzero_si512()]);
            for (w, word) in block.iter().enumerate() {
                // SAFETY: a word of sixteen rows is 64 bytes.
                let pairs = unsafe { _mm512_load_si512(word.0.as_ptr().cast()) };
                let (lower, upper) =
                    (_mm512_and_si512(pairs, low), _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), low));
                for ([below, above], probe) in totals.iter_mut().zip(&probes) {
                    let [x, y] = &probe[w];
                    *below = _mm512_dpbusd_epi32(*below, lower, _mm512_set1_epi32(*x));
                    *above = _mm512_dpbusd_epi32(*above, upper, _mm512_set1_epi32(*y));
                }
            }
            totals.map(|[lower, upper]| {
                let mut products = [0; LANES];
                // SAFETY: the array is 64 bytes.
                unsafe { _mm512_storeu_si512(products.as_mut_ptr().cast(), _mm512_add_epi32(lower, upper)) };
                products
            })
        });
    }

    /// The sum of each. Four are added up together: half as many steps as one after the other.
    #[target_feature(enable = "avx512f")]
    fn add_up<const P: usize>(totals: [__m512i; P]) -> [i32; P] {
        let mut sums = [0; P];
        let (fours, rest) = totals.as_chunks::<4>();
        let (sums_of_fours, sums_of_rest) = sums.as_chunks_mut::<4>();
        for ([a, b, c, d], sums) in fours.iter().zip(sums_of_fours) {
            let pairs = |a, b| _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (ab, cd) = (pairs(*a, *b), pairs(*c, *d));
            // Four lanes, each of a number of a, of b, of c and of d.
            let lanes = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
            let lanes = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
            let lane = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256::<1>(lanes));
            // SAFETY: the array is 16 bytes.
            unsafe { _mm_storeu_si128(sums.as_mut_ptr().cast(), lane) };
        }
        for (sum, total) in sums_of_rest.iter_mut().zip(rest) {
            *sum = _mm512_reduce_add_epi32(*total);
        }
        sums
    }

    /// Up to 64 bytes, and zeros.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn part<T>(bytes: &[T]) -> __m512i {
        const { assert!(size_of::<T>() == 1) };
        let mask = if bytes.len() < 64 { (1 << bytes.len()) - 1 } else { u64::MAX };
        // SAFETY: the mask covers the slice and no more.
        unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn int8_avx2<const P: usize>(rows: &[i8], probes: [&[i8]; P], out: &mut [[i32; P]]) {
        each_row(rows, probes, out, |row, probes| int8_dot(row, probes));
    }

    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn int4_avx2<const P: usize>(
        blocks: &[Lanes],
        scales: &[[f32; LANES]],
        probes: [&Probe; P],
        out: [&mut [[f32; LANES]]; P],
    ) {
        let (low, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
        each_block(blocks, scales, probes, out, |block, probes, begin| {
            let mut totals = begin.map(|begin| [_mm256_set1_epi32(begin); 2]);
            for (w, word) in block.iter().enumerate() {
                for (eight, pairs) in word.0.as_chunks::<8>().0.iter().enumerate() {
                    // SAFETY: a word of eight rows is 32 bytes.
                    let pairs = unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) };
                    let lower = _mm256_and_si256(pairs, low);
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(pairs), low);
                    for (totals, probe) in totals.iter_mut().zip(&probes) {
                        let [x, y] = probe[w].map(|four| _mm256_set1_epi32(four));
                        // Four products of at most 15 and 127 in 16 bits.
                        let two = _mm256_add_epi16(_mm256_maddubs_epi16(lower, x), _mm256_maddubs_epi16(upper, y));
                        totals[eight] = _mm256_add_epi32(totals[eight], _mm256_madd_epi16(two, ones));
                    }
                }
            }
            totals.map(|totals| {
                let mut products = [0; LANES];
                for (products, total) in products.as_chunks_mut::<8>().0.iter_mut().zip(totals) {
                    // SAFETY: the array is 32 bytes.
                    unsafe { _mm256_storeu_si256(products.as_mut_ptr().cast(), total) };
                }
                products
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{super::half_bytes::WORD, *};

    /// Lengths on both sides of every register's width.
    const LENGTHS: [usize; 12] = [1, 7, 8, 15, 16, 17, 63, 64, 65, 127, 128, 513];
    const ROWS: usize = 5;

    fn floats(random: &mut fastrand::Rng, n: usize) -> Vec<f32> {
        (0..n).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

    fn reference(row: &[f32], probe: &[f32]) -> f64 {
        row.iter().zip(probe).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    }

    #[test]
    fn floats_agree_with_the_plain_sum_however_they_are_multiplied() {
        let mut random = fastrand::Rng::with_seed(1);
        for simd in Simd::available() {
            for dim in LENGTHS {
                let rows = floats(&mut random, ROWS * dim);
                let halves: Vec<f16> = rows.iter().map(|&x| f16::from_f32(x)).collect();
                let probes: [Vec<f32>; 4] = std::array::from_fn(|_| floats(&mut random, dim));
                let slices = [&*probes[0], &*probes[1], &*probes[2], &*probes[3]];
                let (mut wide, mut narrow) = ([[0.0; 4]; ROWS], [[0.0; 4]; ROWS]);
                simd.f32(&rows, slices, &mut wide);
                simd.f16(&halves, slices, &mut narrow);
                for p in 0..4 {
                    let (mut wide_alone, mut narrow_alone) = ([[0.0]; ROWS], [[0.0]; ROWS]);
                    simd.f32(&rows, [&*probes[p]], &mut wide_alone);
                    simd.f16(&halves, [&*probes[p]], &mut narrow_alone);
                    for r in 0..ROWS {
                        let row = &rows[r * dim..(r + 1) * dim];
                        let half: Vec<f32> = halves[r * dim..(r + 1) * dim].iter().map(|x| x.to_f32()).collect();
                        assert!((f64::from(wide[r][p]) - reference(row, &probes[p])).abs() < 1e-4, "{simd:?} {dim}");
                        assert!(
                            (f64::from(narrow[r][p]) - reference(&half, &probes[p])).abs() < 1e-4,
                            "{simd:?} {dim}"
                        );
                        assert_eq!(wide[r][p].to_bits(), wide_alone[r][0].to_bits(), "{simd:?} {dim}");
                        assert_eq!(narrow[r][p].to_bits(), narrow_alone[r][0].to_bits(), "{simd:?} {dim}");
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_are_multiplied_exactly() {
        let mut random = fastrand::Rng::with_seed(2);
        for simd in Simd::available() {
            for dim in LENGTHS {
                // The extremes are where the detour over unsigned bytes could overflow.
                let mut bytes = |n: usize| -> Vec<i8> {
                    (0..n).map(|i| if i % 3 == 0 { [-127, 127][i % 2] } else { random.i8(-127..=127) }).collect()
                };
                let rows = bytes(ROWS * dim);
                let probes: [Vec<i8>; 4] = std::array::from_fn(|_| bytes(dim));
                let sums = [0, 1, 2, 3].map(|p| probes[p].iter().map(|&x| i32::from(x)).sum());
                let mut out = [[0; 4]; ROWS];
                simd.int8(&rows, [&probes[0], &probes[1], &probes[2], &probes[3]], sums, &mut out);
                for r in 0..ROWS {
                    for p in 0..4 {
                        let row = rows[r * dim..].iter().zip(&probes[p]);
                        let plain: i64 = row.map(|(&x, &y)| i64::from(x) * i64::from(y)).sum();
                        assert_eq!(i64::from(out[r][p]), plain, "{simd:?} {dim}");
                    }
                }
            }
        }
    }

    #[test]
    fn half_bytes_are_multiplied_exactly() {
        const BLOCKS: usize = 3;
        let mut random = fastrand::Rng::with_seed(3);
        for simd in Simd::available() {
            for width in [1, 2, 7, 16, 65] {
                // The extremes are where 16 bits could overflow.
                let mut blocks = vec![Lanes::default(); BLOCKS * width];
                let pairs = blocks.iter_mut().flat_map(|lanes| lanes.0.as_flattened_mut());
                pairs.for_each(|pair| *pair = [0, 255, random.u8(..)][random.usize(..3)]);
                let mut byte = || [-127, 127, random.i8(-127..=127)][random.usize(..3)];
                let bytes: [Vec<i8>; 4] = std::array::from_fn(|_| (0..width * WORD).map(|_| byte()).collect());
                let probes = bytes.each_ref().map(|bytes| Probe::new(bytes, 1.0));
                let probes = probes.each_ref();
                // Of such a scale products stay whole numbers.
                let scales: [[f32; LANES]; BLOCKS] =
                    std::array::from_fn(|block| std::array::from_fn(|lane| (1 << ((block + lane) % 5)) as f32));
                let mut out = [[[0.0; LANES]; BLOCKS]; 4];
                simd.int4(&blocks, &scales, probes, out.each_mut().map(|out| &mut out[..]));
                for (p, out) in out.into_iter().enumerate() {
                    let mut alone = [[0.0; LANES]; BLOCKS];
                    simd.int4(&blocks, &scales, [probes[p]], [&mut alone]);
                    assert_eq!(out, alone);
                    for ((block, products), scales) in blocks.chunks(width).zip(out).zip(scales) {
                        for lane in 0..LANES {
                            let words = block.iter().map(|lanes| lanes.0[lane]);
                            let halves =
                                words.flat_map(|word| [word.map(|pair| pair & 15), word.map(|pair| pair >> 4)]);
                            let numbers = halves.flatten().map(|half| i32::from(half) - 8).zip(&bytes[p]);
                            let plain: i32 = numbers.map(|(x, &y)| x * i32::from(y)).sum();
                            assert_eq!(products[lane], plain as f32 * scales[lane], "{simd:?} {width}");
                        }
                    }
                }
            }
        }
    }
}
