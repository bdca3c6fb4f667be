//! Whole numbers from -7 to 7, two to a byte.
//!
//! Of a row of `d` numbers, byte `j` holds number `j` in its lower half and number `h + j` in its upper, where `h` is
//! half of `d`, rounded up: so both halves of a run of bytes meet runs of a probe. Each is raised by 8, for vector
//! registers multiply unsigned bytes by signed ones.

/// What every half is raised by.
pub(super) const RAISED: u8 = 8;
/// How much more a half stands for than a byte.
pub(super) const COARSER: f32 = 127.0 / 7.0;

/// Writes `bytes`, from -127 to 127, to `pairs`, which is half as long, rounded up.
pub(super) fn pack(bytes: &[i8], pairs: &mut [u8]) {
    // Rounds x * 7 / 127: half of 254 and RAISED times 254 make it positive, so that division rounds down.
    let half = |x: i8| ((14 * i16::from(x) + 127 + 254 * i16::from(RAISED)) / 254) as u8;
    let (below, above) = bytes.split_at(pairs.len().min(bytes.len()));
    for (pair, &x) in pairs.iter_mut().zip(below) {
        *pair = half(x);
    }
    for (pair, &x) in pairs.iter_mut().zip(above) {
        *pair |= half(x) << 4;
    }
}

/// The numbers of `pairs`: of an odd count, one too many, without meaning.
pub(super) fn unpack(pairs: &[u8]) -> impl Iterator<Item = i8> {
    let lowered = |half: u8| half as i8 - RAISED as i8;
    pairs.iter().map(move |pair| lowered(pair & 15)).chain(pairs.iter().map(move |pair| lowered(pair >> 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_rounded() {
        let all: Vec<i8> = (-127..=127).collect();
        for bytes in [&all[..], &all[..254], &all[..1], &all[126..128]] {
            let mut pairs = vec![0xff; bytes.len().div_ceil(2)];
            pack(bytes, &mut pairs);
            let rounded: Vec<i8> = bytes.iter().map(|&x| (f32::from(x) / COARSER).round() as i8).collect();
            assert_eq!(unpack(&pairs).take(bytes.len()).collect::<Vec<_>>(), rounded);
        }
    }
}
