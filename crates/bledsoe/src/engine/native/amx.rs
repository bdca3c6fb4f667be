//! Products of bf16 by Intel's AMX: tiles of 16 pixels by 32 numbers, and of 32 numbers by 16 channels.

use std::{
    arch::{
        asm,
        x86_64::{__cpuid, __cpuid_count},
    },
    sync::OnceLock,
};

use super::arithmetic::{Aligned, LANES};

/// Whether the processor has it, and the system lets this process use it.
pub(super) fn is_available() -> bool {
    static IS_AVAILABLE: OnceLock<bool> = OnceLock::new();
    *IS_AVAILABLE.get_or_init(|| has_instructions() && is_permitted())
}

/// Whether the processor has it.
pub(super) fn has_instructions() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (BF16 | TILE) == BF16 | TILE
}

/// Linux wants to be asked once, as a thread's registers take 8 KiB more.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: a call of the system that reads and writes no memory of ours.
    unsafe {
        asm!("syscall", inout("rax") result, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") TILE_DATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

/// Other systems were not tried.
#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// The tiles while they are configured, each as 16 rows of 64 bytes.
pub(super) struct Tiles;

#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes_a_row: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// Where [`is_available`] said so.
    pub(super) fn configured() -> Self {
        let (mut bytes_a_row, mut rows) = ([0; 16], [0; 16]);
        bytes_a_row[..8].fill(64);
        rows[..8].fill(16);
        let configuration = Configuration { palette: 1, start: 0, reserved: [0; 14], bytes_a_row, rows };
        // SAFETY: the processor has the instruction, and the configuration is one of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Self
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: nobody uses the tiles any more.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// See [`super::arithmetic::TileProduct`].
///
/// # Safety
/// Also: the tiles must be configured.
pub(super) unsafe fn multiply(
    pixels: [*const u32; 2],
    pitch: usize,
    weights: [&[Aligned<u32>]; 2],
    sums: &mut [Aligned<f32>; 4 * LANES],
) {
    let tiles = weights[0].len().min(weights[1].len()) / LANES;
    if tiles == 0 {
        return sums.fill(Aligned([0.0; LANES]));
    }
    // SAFETY: the caller's; sixteen words are a row of a tile, and each tile of sums is a quarter of them.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {pitch}]",
            "tileloadd tmm6, [{v} + {row}]",
            "tileloadd tmm7, [{w} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tileloadd tmm5, [{b} + {pitch}]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, 64",
            "add {b}, 64",
            "add {v}, 1024",
            "add {w}, 1024",
            "dec {tiles}",
            "jnz 2b",
            "tilestored [{sums} + {row}], tmm0",
            "tilestored [{sums} + {row} + 1024], tmm1",
            "tilestored [{sums} + {row} + 2048], tmm2",
            "tilestored [{sums} + {row} + 3072], tmm3",
            a = inout(reg) pixels[0] => _,
            b = inout(reg) pixels[1] => _,
            v = inout(reg) weights[0].as_ptr() => _,
            w = inout(reg) weights[1].as_ptr() => _,
            tiles = inout(reg) tiles => _,
            pitch = in(reg) pitch * size_of::<u32>(),
            row = in(reg) LANES * size_of::<u32>(),
            sums = in(reg) sums.as_mut_ptr(),
            options(nostack),
        );
    }
}
