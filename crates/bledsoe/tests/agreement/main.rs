//! Agreement with independent implementations (dlib, scikit-learn), from golden files made by tools/reference/.

mod align;
mod hog;
mod landmarks;
mod mmod;
mod networks;
mod resnet;
mod svm;
