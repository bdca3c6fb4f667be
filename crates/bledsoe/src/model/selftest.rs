//! Self-tests: a network fed a stored picture must give the numbers that its contract promises.
//!
//! They prove that file, channel order, standardisation and engine belong together. The numbers come from ONNX Runtime
//! in Python, or from dlib.

use super::{Channels, Contract, SelfTest};
use crate::{
    Error, Result,
    engine::{Session, Tensor},
    photo::{Limits, Photo},
};

/// A picture of 160x160 pixels.
const PICTURE: &[u8] = include_bytes!("../../../../models/selftest.png");
const SIDE: u32 = 160;

/// Feeds `session`, loaded from the model of `contract`, the stored picture, and gives the largest difference of its
/// first output's first values from those expected; `None` when the contract has no self-test.
///
/// # Errors
/// [`Error::Model`] when a difference is beyond the tolerance, [`Error::Engine`] when the network does not run.
pub fn run(contract: &Contract, session: &dyn Session) -> Result<Option<f32>> {
    let Some(SelfTest { expected, tolerance }) = &contract.selftest else { return Ok(None) };
    let output = session.run(picture(contract)?)?;
    let found = output.first().map(|t| t.data.as_slice()).unwrap_or_default();
    let differences = expected.iter().zip(found).map(|(expected, found)| (expected - found).abs());
    // f32::max passes over a NaN, which is a failure here.
    let worst = differences.fold(0.0f32, |worst, d| if d.is_nan() { f32::INFINITY } else { worst.max(d) });
    if expected.len() > found.len() || expected.is_empty() || worst > *tolerance {
        let found = &found[..found.len().min(expected.len())];
        let reason = format!("self-test failed: {found:?} instead of {expected:?}, within {tolerance}");
        return Err(Error::model(&contract.id, reason));
    }
    Ok(Some(worst))
}

/// The top left of the picture in the input's size (all of it for a network of any size), as planes.
fn picture(contract: &Contract) -> Result<Tensor> {
    let input = contract.input()?;
    let photo = Photo::decode(PICTURE, &Limits::default())?;
    let side = if input.size == 0 { SIDE } else { input.size };
    if side > photo.width().min(photo.height()) {
        return Err(Error::model(&contract.id, format!("input.size: no self-test picture of {side} pixels")));
    }
    let (side, row) = (side as usize, 3 * photo.width() as usize);
    let mut data = Vec::with_capacity(3 * side * side);
    for plane in 0..3 {
        let channel = match input.channels {
            Channels::Rgb => plane,
            Channels::Bgr => 2 - plane,
        };
        for y in 0..side {
            let pixels = photo.rgb()[y * row..].as_chunks::<3>().0.iter().take(side);
            data.extend(pixels.map(|p| (f32::from(p[channel]) - input.mean[plane]) * input.scale[plane]));
        }
    }
    Ok(Tensor { shape: vec![1, 3, side, side], data })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the first value of each input plane.
    struct Corners;

    impl Session for Corners {
        fn run(&self, input: Tensor) -> Result<Vec<Tensor>> {
            let plane = input.shape[2] * input.shape[3];
            let data = input.data.chunks_exact(plane).map(|p| p[0]).collect();
            Ok(vec![Tensor { shape: vec![1, 3], data }])
        }
    }

    fn contract(channels: &str, size: u32, expected: &[f32]) -> Contract {
        toml::from_str(&format!(
            "id = \"m\"\ntask = \"detect\"\nformat = \"onnx\"\nfile = \"x\"\nsha256 = \"\"\nsource = \"\"\nlicence = \"\"\n\
             [input]\nsize = {size}\nchannels = \"{channels}\"\nmean = [1, 2, 3]\nscale = [2, 2, 2]\n\
             [selftest]\nexpected = {}\ntolerance = 0.01",
            format!("{expected:?}").to_lowercase()
        ))
        .unwrap()
    }

    #[test]
    fn the_contract_decides_what_the_network_is_fed() {
        let photo = Photo::decode(PICTURE, &Limits::default()).unwrap();
        assert_eq!((photo.width(), photo.height()), (SIDE, SIDE));
        let [r, g, b] = [0, 1, 2].map(|c| f32::from(photo.rgb()[c]));
        let rgb = [(r - 1.0) * 2.0, (g - 2.0) * 2.0, (b - 3.0) * 2.0];
        let bgr = [(b - 1.0) * 2.0, (g - 2.0) * 2.0, (r - 3.0) * 2.0];
        for size in [0, 112, 160] {
            assert!(run(&contract("rgb", size, &rgb), &Corners).unwrap().unwrap() < 0.01);
            assert!(run(&contract("bgr", size, &bgr), &Corners).unwrap().unwrap() < 0.01);
        }
        assert!(run(&contract("rgb", 161, &rgb), &Corners).is_err());
    }

    #[test]
    fn other_numbers_too_few_or_none_fail() {
        for expected in [&[1e6, 0.0, 0.0][..], &[f32::NAN; 3], &[0.0; 9], &[]] {
            assert!(run(&contract("rgb", 112, expected), &Corners).is_err(), "{expected:?}");
        }
        let none = Contract { selftest: None, ..contract("rgb", 112, &[0.0]) };
        assert_eq!(run(&none, &Corners).unwrap(), None);
    }
}
