#![no_main]
use bledsoe::model::Contract;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(contract) = toml::from_str::<Contract>(text) {
        let _ = contract.check();
    }
});
