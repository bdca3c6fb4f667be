//! A GPU gives the embeddings that the processor gives. Skipped, and said so, where there is none.
//!
//! ```sh
//! bledsoe engine install --cuda && cargo test --release -p bledsoe --test agreement gpu -- --nocapture
//! bledsoe bench lfw/images --embedder facenet --engine ort --device cuda
//! ```

use bledsoe::{
    align::{Affine, FaceChip},
    embed::Embedder,
    engine::{Backend, Device, EngineConfig},
    pipeline::Loader,
};

fn embedder(backend: Backend, device: Device, name: &str) -> bledsoe::Result<Box<dyn Embedder>> {
    Loader::new(&EngineConfig { backend, device, ..Default::default() }, None)?.embedder(name)
}

/// Chips of smooth patterns, each of its own frequency.
fn chips(size: u32, n: u32) -> Vec<Vec<FaceChip>> {
    let pixel = |k: u32, x: u32, y: u32, c: u32| {
        let phase = (x + c * 7) as f32 * (0.02 + 0.004 * k as f32) + y as f32 * 0.03;
        (127.5 + 120.0 * phase.sin()) as u8
    };
    let chip = |k| FaceChip {
        size,
        rgb: (0..size * size).flat_map(|i| [0, 1, 2].map(|c| pixel(k, i % size, i / size, c))).collect(),
        transform: Affine { m: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] },
    };
    (0..n).map(|k| vec![chip(k)]).collect()
}

#[test]
fn a_gpu_embeds_as_the_processor_does() {
    for name in ["mobilefacenet-straight", "facenet"] {
        let gpu = match embedder(Backend::Ort, Device::Cuda, name) {
            Ok(gpu) => gpu,
            Err(error) => {
                crate::skipped(format_args!("a_gpu_embeds_as_the_processor_does: {error}"));
                return;
            }
        };
        let faces = chips(gpu.templates()[0].size(), 40);
        let cpu = embedder(Backend::Rten, Device::Cpu, name).unwrap().embed(&faces).unwrap();
        // The second 40 lie in the memory of the first; fewer of them in new memory.
        for count in [40, 40, 7] {
            let found = gpu.embed(&faces[40 - count..]).unwrap();
            let similarities = found.iter().zip(&cpu[40 - count..]).map(|(a, b)| a.similarity(b).unwrap());
            let least = similarities.fold(1.0f32, f32::min);
            println!("{name}, {count} faces: least cosine {least:.6}");
            assert!(least > 0.9999, "{name}, {count} faces: {least}");
        }
    }
}
