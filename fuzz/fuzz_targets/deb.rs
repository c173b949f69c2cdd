//! Binary packages: any bytes, with and without right checksums in the archives within.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use tierce_debian::{Spool, UnpackedDeb};
use tierce_fuzz::with_tar_checksums;

fn read(package: &[u8]) {
    let directory = std::env::temp_dir();
    let spool: Arc<Spool> = Spool::new(&directory).expect("a temporary file can be made");
    if let Ok(package) = UnpackedDeb::read(package, &spool) {
        assert!(package.control_files().contains_key("md5sums"));
        assert_eq!(package.paragraph().get("Package"), Some(package.name().as_str()));
        let _ = package.entries().count();
    }
}

fuzz_target!(|data: &[u8]| {
    read(data);
    read(&with_tar_checksums(data));
});
