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
