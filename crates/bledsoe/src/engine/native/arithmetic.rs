//! Sixteen numbers at once, in the registers that the processor has.
//!
//! The layers are written once, over [`Arithmetic`]; [`Arithmetic::compute`] is where they are compiled for a kind of
//! processor. All that it calls is `#[inline(always)]`, and no closure, or it would be compiled for the least of them.

use super::layer::{Layer, Rows};

/// Numbers to a register, and channels to a panel of weights.
pub(super) const LANES: usize = 16;

/// Sixteen numbers or words where the processor loads them at once, from one line of its cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Aligned<T>(pub [T; LANES]);

impl<T> Aligned<T> {
    /// All numbers of some, one after the other.
    #[inline(always)]
    pub fn flat(all: &mut [Self]) -> &mut [T] {
        const { assert!(size_of::<Self>() == LANES * size_of::<T>(), "no gaps") }
        // SAFETY: an array of arrays without gaps; the type is laid out as its field is.
        unsafe { std::slice::from_raw_parts_mut(all.as_mut_ptr().cast(), all.len() * LANES) }
    }
}

/// Adds up the products of 2 x 16 pixels, whose words begin `pitch` words apart, with two panels of weights, whose words
/// are whole tiles of sixteen. The sums are of the first sixteen pixels' first and second panel, then of the others'.
///
/// # Safety
/// As many words of each pixel must be there as the panels have; only [`Arithmetic::compute`] may call it.
pub(super) type TileProduct<W> =
    unsafe fn(pixels: [*const W; 2], pitch: usize, weights: [&[Aligned<W>]; 2], sums: &mut [Aligned<f32>; 4 * LANES]);

/// Sixteen numbers.
///
/// # Safety
/// They must lie within the slice.
#[inline(always)]
pub(super) unsafe fn lanes(numbers: &[f32], at: usize) -> &[f32; LANES] {
    debug_assert!(at + LANES <= numbers.len());
    // SAFETY: the caller's.
    unsafe { &*numbers.as_ptr().add(at).cast() }
}

/// The same, to be written.
///
/// # Safety
/// They must lie within the slice.
#[inline(always)]
pub(super) unsafe fn lanes_mut(numbers: &mut [f32], at: usize) -> &mut [f32; LANES] {
    debug_assert!(at + LANES <= numbers.len());
    // SAFETY: the caller's.
    unsafe { &mut *numbers.as_mut_ptr().add(at).cast() }
}

/// How a kind of processor multiplies and adds.
pub(super) trait Arithmetic: Sized + Send + Sync + 'static {
    /// What a product takes of one pixel at a time, 32 bits: a number, or two in bf16.
    type Word: Copy + Default + Send + Sync;
    /// Sixteen f32.
    type Lanes: Copy;

    /// Numbers to a [`Self::Word`].
    const NUMBERS: usize;
    /// Pixels and panels whose sums fit into the registers at once: 12 x 2 or 6 x 1.
    const WIDE: bool;

    /// How whole tiles are multiplied, where the processor can.
    const TILES: Option<TileProduct<Self::Word>> = None;

    /// Computes some rows of a layer.
    fn compute(layer: &Layer<Self>, rows: Rows<'_>);

    /// The word of [`Self::NUMBERS`] numbers.
    fn word(numbers: &[f32]) -> Self::Word;
    /// The words of `numbers`, which are whole words.
    fn words<'a>(numbers: &'a [f32], room: &'a mut Vec<Self::Word>) -> &'a [Self::Word];

    fn splat(number: f32) -> Self::Lanes;
    fn load(numbers: &[f32; LANES]) -> Self::Lanes;
    fn store(lanes: Self::Lanes, numbers: &mut [f32; LANES]);
    fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn max(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    fn min(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `sum + a * b`.
    fn multiply_add(sum: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;

    /// The sixteen words as one register.
    fn load_words(words: &[Self::Word; LANES]) -> Self::Lanes;
    /// `sum` and the products of one pixel's word with sixteen channels' weights.
    fn product(sum: Self::Lanes, word: Self::Word, weights: Self::Lanes) -> Self::Lanes;
}

/// For those that multiply f32: a word is a number.
macro_rules! words_are_numbers {
    () => {
        type Word = f32;
        const NUMBERS: usize = 1;

        #[inline(always)]
        fn word(numbers: &[f32]) -> f32 {
            numbers[0]
        }

        #[inline(always)]
        fn words<'a>(numbers: &'a [f32], _: &'a mut Vec<f32>) -> &'a [f32] {
            numbers
        }

        #[inline(always)]
        fn load_words(words: &[f32; LANES]) -> Self::Lanes {
            Self::load(words)
        }

        #[inline(always)]
        fn product(sum: Self::Lanes, word: f32, weights: Self::Lanes) -> Self::Lanes {
            Self::multiply_add(sum, Self::splat(word), weights)
        }
    };
}

/// Plain loops: NEON on ARM, by the compiler.
pub(super) struct Plain;

impl Plain {
    #[inline(always)]
    fn each(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
        std::array::from_fn(|i| f(a[i], b[i]))
    }
}

impl Arithmetic for Plain {
    words_are_numbers!();
    type Lanes = [f32; LANES];
    const WIDE: bool = false;

    fn compute(layer: &Layer<Self>, rows: Rows<'_>) {
        layer.compute(rows);
    }

    #[inline(always)]
    fn splat(number: f32) -> Self::Lanes {
        [number; LANES]
    }

    #[inline(always)]
    fn load(numbers: &[f32; LANES]) -> Self::Lanes {
        *numbers
    }

    #[inline(always)]
    fn store(lanes: Self::Lanes, numbers: &mut [f32; LANES]) {
        *numbers = lanes;
    }

    #[inline(always)]
    fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Self::each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn max(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Self::each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        Self::each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn multiply_add(sum: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        std::array::from_fn(|i| {
            // Fused it would be a call where the processor has no such instruction.
            if cfg!(target_arch = "aarch64") { a[i].mul_add(b[i], sum[i]) } else { sum[i] + a[i] * b[i] }
        })
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! Every function here is called by [`Arithmetic::compute`]'s way only, which [`super::super::Runtime`] takes only on
    //! processors that have the instructions.

    use std::arch::x86_64::*;

    use super::{super::amx, Arithmetic, LANES, Layer, Rows, TileProduct};

    /// AVX2 with FMA: two registers for sixteen numbers.
    pub(in super::super) struct Avx2;

    impl Avx2 {
        pub(in super::super) fn is_available() -> bool {
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
        }
    }

    impl Arithmetic for Avx2 {
        words_are_numbers!();
        type Lanes = [__m256; 2];
        const WIDE: bool = false;

        fn compute(layer: &Layer<Self>, rows: Rows<'_>) {
            #[target_feature(enable = "avx2,fma")]
            fn compiled(layer: &Layer<Avx2>, rows: Rows<'_>) {
                layer.compute(rows);
            }
            // SAFETY: the processor has what the function is compiled for.
            unsafe { compiled(layer, rows) }
        }

        #[inline(always)]
        fn splat(number: f32) -> Self::Lanes {
            // SAFETY: see the module.
            unsafe { [_mm256_set1_ps(number); 2] }
        }

        #[inline(always)]
        fn load(numbers: &[f32; LANES]) -> Self::Lanes {
            // SAFETY: see the module; both halves lie in the array.
            unsafe { [_mm256_loadu_ps(numbers.as_ptr()), _mm256_loadu_ps(numbers.as_ptr().add(8))] }
        }

        #[inline(always)]
        fn store(lanes: Self::Lanes, numbers: &mut [f32; LANES]) {
            // SAFETY: see the module; both halves lie in the array.
            unsafe {
                _mm256_storeu_ps(numbers.as_mut_ptr(), lanes[0]);
                _mm256_storeu_ps(numbers.as_mut_ptr().add(8), lanes[1]);
            }
        }

        #[inline(always)]
        fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: see the module.
            unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        }

        #[inline(always)]
        fn max(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: see the module.
            unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
        }

        #[inline(always)]
        fn min(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: see the module.
            unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
        }

        #[inline(always)]
        fn multiply_add(sum: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
            // SAFETY: see the module.
            unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
        }
    }

    /// AVX-512: one register for sixteen numbers.
    macro_rules! avx512 {
        ($name:ident, $features:literal, $held:expr, $($rest:tt)*) => {
            impl Arithmetic for $name {
                type Lanes = __m512;
                const WIDE: bool = true;

                fn compute(layer: &Layer<Self>, rows: Rows<'_>) {
                    #[target_feature(enable = $features)]
                    fn compiled(layer: &Layer<$name>, rows: Rows<'_>) {
                        layer.compute(rows);
                    }
                    let _held = $held;
                    // SAFETY: the processor has what the function is compiled for.
                    unsafe { compiled(layer, rows) }
                }

                #[inline(always)]
                fn splat(number: f32) -> Self::Lanes {
                    // SAFETY: see the module.
                    unsafe { _mm512_set1_ps(number) }
                }

                #[inline(always)]
                fn load(numbers: &[f32; LANES]) -> Self::Lanes {
                    // SAFETY: see the module; the register is as long as the array.
                    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
                }

                #[inline(always)]
                fn store(lanes: Self::Lanes, numbers: &mut [f32; LANES]) {
                    // SAFETY: see the module; the register is as long as the array.
                    unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), lanes) }
                }

                #[inline(always)]
                fn add(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
                    // SAFETY: see the module.
                    unsafe { _mm512_add_ps(a, b) }
                }

                #[inline(always)]
                fn max(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
                    // SAFETY: see the module.
                    unsafe { _mm512_max_ps(a, b) }
                }

                #[inline(always)]
                fn min(a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
                    // SAFETY: see the module.
                    unsafe { _mm512_min_ps(a, b) }
                }

                #[inline(always)]
                fn multiply_add(sum: Self::Lanes, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
                    // SAFETY: see the module.
                    unsafe { _mm512_fmadd_ps(a, b, sum) }
                }

                $($rest)*
            }
        };
    }

    /// AVX-512, f32.
    pub(in super::super) struct Avx512;

    impl Avx512 {
        pub(in super::super) fn is_available() -> bool {
            is_x86_feature_detected!("avx512f")
        }
    }

    avx512! { Avx512, "avx512f,fma", (),
        words_are_numbers!();
    }

    /// For those that multiply bf16 and add up f32: a word is two numbers.
    macro_rules! words_are_pairs {
        () => {
            type Word = u32;
            const NUMBERS: usize = 2;

            #[inline(always)]
            fn word(numbers: &[f32]) -> u32 {
                let half = |number| u32::from(half::bf16::from_f32(number).to_bits());
                half(numbers[1]) << 16 | half(numbers[0])
            }

            #[inline(always)]
            fn words<'a>(numbers: &'a [f32], room: &'a mut Vec<u32>) -> &'a [u32] {
                room.resize(numbers.len() / 2, 0);
                let (whole, rest) = numbers.as_chunks::<{ 2 * LANES }>();
                let (words, last) = room.as_chunks_mut::<LANES>();
                for (numbers, words) in whole.iter().zip(words) {
                    // SAFETY: see the module; both halves lie in the array, and the register is as long as that of words.
                    unsafe {
                        let low = _mm512_loadu_ps(numbers.as_ptr());
                        let high = _mm512_loadu_ps(numbers.as_ptr().add(LANES));
                        let narrow = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                        _mm512_storeu_si512(words.as_mut_ptr().cast(), narrow);
                    }
                }
                for (numbers, word) in rest.as_chunks::<2>().0.iter().zip(last) {
                    *word = Self::word(numbers);
                }
                room
            }

            #[inline(always)]
            fn load_words(words: &[u32; LANES]) -> Self::Lanes {
                // SAFETY: see the module; the register is as long as the array.
                unsafe { _mm512_castsi512_ps(_mm512_loadu_si512(words.as_ptr().cast())) }
            }

            #[inline(always)]
            fn product(sum: Self::Lanes, word: u32, weights: Self::Lanes) -> Self::Lanes {
                // SAFETY: see the module; registers of one length.
                unsafe {
                    let word = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(word as i32));
                    _mm512_dpbf16_ps(sum, word, std::mem::transmute::<__m512, __m512bh>(weights))
                }
            }
        };
    }

    /// AVX-512 with products of bf16, added up in f32.
    pub(in super::super) struct Avx512Bf16;

    impl Avx512Bf16 {
        pub(in super::super) fn is_available() -> bool {
            Avx512::is_available() && is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw")
        }
    }

    avx512! { Avx512Bf16, "avx512f,avx512bw,avx512bf16,fma", (),
        words_are_pairs!();
    }
    /// The same, and products of whole tiles.
    pub(in super::super) struct Amx;

    impl Amx {
        pub(in super::super) fn is_available() -> bool {
            Avx512Bf16::is_available() && amx::is_available()
        }
    }

    avx512! { Amx, "avx512f,avx512bw,avx512bf16,fma", amx::Tiles::configured(),
        words_are_pairs!();
        const TILES: Option<TileProduct<u32>> = Some(amx::multiply);
    }
}
