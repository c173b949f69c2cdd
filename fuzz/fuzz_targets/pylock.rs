//! `pylock.toml` (PEP 751).
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tierce_oci::Platform;
use tierce_wheel::{Libc, Lock, PythonVersion, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let python = PythonVersion::new(3, 12).expect("a version");
    Target::new(python, &Platform::linux("amd64"), Libc::DEFAULT).expect("a target")
});

fuzz_target!(|data: &[u8]| {
    let lock = match Lock::parse(data, &TARGET) {
        Ok(lock) => lock,
        Err(error) => return drop(error.to_string()),
    };
    let again = Lock::parse(lock.bytes(), &TARGET).expect("what was read can be read again");
    // Sizes and credentials are left out of the bytes, so it is these that must be the same.
    assert_eq!(again.bytes(), lock.bytes());
    assert_eq!(again.packages().len(), lock.packages().len());
    assert_eq!(lock.wheels().count() + lock.to_build().count(), lock.packages().len());
    for package in lock.packages() {
        assert!(package.source.is_direct() || package.source.direct_url().is_none());
    }
});
