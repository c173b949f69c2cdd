//! Release files: their signatures, and what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};
use tierce_debian::{Keyring, Release, verify_clearsigned, verify_detached};

static KEYRING: LazyLock<Keyring> = LazyLock::new(Keyring::debian);

fuzz_target!(|data: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000);
    // A good signature can't be found by trying.
    assert!(verify_clearsigned(data, &KEYRING, now).is_err());
    assert!(verify_detached(b"text", data, &KEYRING, now).is_err());
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(release) = Release::parse(text) {
        let _ = release.check("bookworm", now).map_err(|error| error.to_string());
    }
});
