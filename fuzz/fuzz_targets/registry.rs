#![no_main]
use bledsoe::model::Registry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Registry::parse(text);
});
