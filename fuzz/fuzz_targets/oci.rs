#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "the others are targets of their own")]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::oci_documents(bytes));
