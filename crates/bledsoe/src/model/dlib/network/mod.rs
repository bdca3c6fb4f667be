//! dlib's networks (`.dat`) as ONNX, which any engine runs.
//!
//! A dlib file holds the parameters of its layers, and which of them are nested how deep, but not which layer a skip
//! leads to: that is in the C++ type of the network. So this reads the two families whose types dlib publishes: the
//! residual network of face descriptors (`dnn_face_recognition_ex.cpp`), with any number of blocks and filters, and the
//! fully convolutional detectors trained by max-margin object detection (`dnn_mmod_ex.cpp`). Batch normalisation and
//! affine layers are folded into the convolutions before them.

mod layers;
mod mmod;
mod resnet;

pub use mmod::{MmodDetails, Window, mmod_to_onnx};
pub use resnet::resnet_to_onnx;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Backend, Engine, EngineConfig, Precision, Tensor};

    /// Writes dlib's encoding.
    #[derive(Default)]
    struct File(Vec<u8>);

    impl File {
        fn int(&mut self, value: i64) -> &mut Self {
            let magnitude = value.unsigned_abs().to_le_bytes();
            let length = 8 - magnitude.iter().rev().take_while(|b| **b == 0).count();
            self.0.push(length as u8 | if value < 0 { 0x80 } else { 0 });
            self.0.extend(&magnitude[..length]);
            self
        }

        fn ints(&mut self, values: &[i64]) -> &mut Self {
            values.iter().for_each(|&v| {
                self.int(v);
            });
            self
        }

        /// `value` in 256ths.
        fn float(&mut self, value: f64) -> &mut Self {
            self.ints(&[(value * 256.0) as i64, -8])
        }

        fn string(&mut self, text: &str) -> &mut Self {
            self.int(text.len() as i64);
            self.0.extend(text.as_bytes());
            self
        }

        fn tensor(&mut self, values: &[f32]) -> &mut Self {
            self.ints(&[2, values.len() as i64, 1, 1, 1]);
            values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
            self
        }

        fn state(&mut self) -> &mut Self {
            self.0.extend(b"110");
            self.tensor(&[]).tensor(&[]).tensor(&[])
        }

        /// A convolution of one filter with a square kernel.
        fn conv(&mut self, channels: i64, kernel: i64, stride: i64, weights: &[f32], bias: f32) -> &mut Self {
            self.string("con_4").tensor(&[weights, &[bias]].concat());
            self.ints(&[1, kernel, kernel, stride, stride, 0, 0]);
            self.ints(&[1, 1, channels, kernel, kernel]).ints(&[1, 1, 1, 1, 1]);
            (0..4).for_each(|_| {
                self.float(1.0);
            });
            self.state()
        }
    }

    /// A detector of two convolutions, with batch normalisation and a relu between them.
    fn detector() -> Vec<u8> {
        let mut file = File::default();
        file.int(1).string("loss_mmod_").ints(&[2, 1, 2, 40, 50]).string("face");
        for value in [1.0, 1.0, 0.5, 0.25, 0.75, 0.5, 1.0] {
            file.float(value);
        }
        // Versions of the layers: convolution, relu, batch normalisation, and the convolution that holds the input.
        file.ints(&[2, 2, 2, 3]).string("input_rgb_image_pyramid");
        for value in [100.0, 110.0, 120.0] {
            file.float(value);
        }
        let weights: Vec<f32> = (0..12).map(|i| i as f32 / 4.0 - 1.5).collect();
        file.conv(3, 2, 2, &weights, 0.5).int(1);
        file.string("bn_con2").tensor(&[3.0, -1.0]).ints(&[1, 1, 1, 1, 1]).ints(&[1, 1, 1, 1, 1]);
        file.tensor(&[]).tensor(&[]).tensor(&[2.0]).tensor(&[3.75]).ints(&[100, 1000]);
        (0..4).for_each(|_| {
            file.float(1.0);
        });
        file.float(0.25).state();
        file.string("relu_").state();
        file.conv(1, 1, 1, &[2.0], -1.0);
        file.0
    }

    #[test]
    fn a_detector_becomes_a_network_that_computes_the_same() {
        let onnx = mmod_to_onnx(&detector(), "x").unwrap();
        let details = MmodDetails::of_onnx(&onnx, "x").unwrap();
        let window = Window { width: 40, height: 50, label: "face".to_owned() };
        assert_eq!((details.mean, &details.windows[..]), ([100.0, 110.0, 120.0], &[window][..]));
        assert_eq!((details.max_iou, details.max_covered), (0.25, 0.75));
        assert_eq!((details.stride, details.offset, details.above, details.below, details.least), (2, 1, 0, 1, 2));

        let engine = Engine::open(&EngineConfig { backend: Backend::Rten, ..EngineConfig::default() }).unwrap();
        let input: Vec<f32> = (0..3 * 4 * 6).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
        let session = engine.load("x", onnx, Precision::Full).unwrap();
        let output = session.run(Tensor { shape: vec![1, 3, 4, 6], data: input.clone() }).unwrap();
        assert_eq!(output[0].shape, [1, 1, 2, 3]);
        for (i, score) in output[0].data.iter().enumerate() {
            let (y, x) = (2 * (i / 3), 2 * (i % 3));
            let at = |k: usize| input[(k / 4) * 24 + (y + k / 2 % 2) * 6 + x + k % 2];
            let sum: f32 = (0..12).map(|k| (k as f32 / 4.0 - 1.5) * at(k)).sum::<f32>() + 0.5;
            // Mean 2, variance 3.75 and 0.25 besides: divided by 2.
            let normal = (sum - 2.0) / 2.0 * 3.0 - 1.0;
            assert!((score - (2.0 * normal.max(0.0) - 1.0)).abs() < 1e-3, "{i}: {score}");
        }
    }

    #[test]
    fn no_piece_of_a_file_is_taken_for_the_whole() {
        let file = detector();
        for length in 0..file.len() {
            assert!(mmod_to_onnx(&file[..length], "x").is_err(), "{length} bytes");
        }
        assert!(resnet_to_onnx(&file, "x").is_err());
        assert!(mmod_to_onnx(&[file, vec![0]].concat(), "x").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_damage_makes_it_panic(at in 0usize..600, byte: u8, bytes: Vec<u8>) {
            let mut file = detector();
            let length = file.len();
            file[at % length] = byte;
            if let Ok(onnx) = mmod_to_onnx(&file, "x") {
                proptest::prop_assert!(MmodDetails::of_onnx(&onnx, "x").is_ok());
            }
            // The same damage, read as the layers of a face descriptor.
            let layers = [&[1, 1, 13][..], b"loss_metric_2", &[1, 1, 0, 1, 1, 0], &file[12..]].concat();
            let _ = resnet_to_onnx(&layers, "x");
            let _ = resnet_to_onnx(&bytes, "x");
        }
    }
}
