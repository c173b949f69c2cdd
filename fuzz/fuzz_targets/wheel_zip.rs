//! Wheels as files: any bytes as a zip archive, and as a wheel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Read;
use tierce_fuzz::temporary_file;
use tierce_oci::Digest;
use tierce_wheel::{Wheel, zip::Archive};

const LIMIT: u64 = 1 << 24;

fuzz_target!(|data: &[u8]| {
    let file = temporary_file(data);
    let handle = file.reopen().expect("the file is there");
    let Ok(archive) = Archive::open(handle, LIMIT) else { return };
    for entry in archive.entries() {
        let mut content = Vec::new();
        if archive.reader(entry).take(LIMIT + 1).read_to_end(&mut content).is_ok() {
            assert_eq!(content.len() as u64, entry.size());
            assert_eq!(crc32fast::hash(&content), entry.crc32());
        }
        let mut raw = Vec::new();
        archive.raw(entry).read_to_end(&mut raw).expect("all entries lie within the file");
        assert_eq!(raw.len() as u64, entry.compressed_size());
    }
    let filename = "demo-1.0-py3-none-any.whl".parse().expect("a wheel's name");
    if let Ok(wheel) = Wheel::open(file.path(), &filename, Digest::of(data), LIMIT) {
        let _ = wheel.verify_record();
    }
});
