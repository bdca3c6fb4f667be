//! The bledsoe program.

fn main() {}
