//! Wheels from within: files and metadata of any content, in a zip archive that is right.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tierce_fuzz::{stored_zip, temporary_file};
use tierce_oci::Digest;
use tierce_wheel::{InstallPlan, InstallTarget, PythonVersion, Wheel};

#[derive(Arbitrary, Debug)]
struct Contents<'a> {
    files: Vec<(&'a str, &'a [u8])>,
    /// Lines after those that `WHEEL` must have.
    wheel: &'a str,
    record: &'a str,
    entry_points: Option<&'a str>,
}

impl Contents<'_> {
    fn zip(&self) -> Vec<u8> {
        let wheel = format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{}", self.wheel);
        let metadata = [
            ("METADATA", Some("Name: demo\n")),
            ("WHEEL", Some(wheel.as_str())),
            ("RECORD", Some(self.record)),
            ("entry_points.txt", self.entry_points),
        ];
        let named = metadata.iter().filter_map(|(name, text)| {
            Some((format!("demo-1.0.dist-info/{name}"), text.as_ref()?.as_bytes()))
        });
        let files = self.files.iter().map(|(name, content)| ((*name).to_owned(), *content));
        stored_zip(files.chain(named))
    }
}

fuzz_target!(|contents: Contents<'_>| {
    let bytes = contents.zip();
    let file = temporary_file(&bytes);
    let filename = "demo-1.0-py3-none-any.whl".parse().expect("a wheel's name");
    let wheel = match Wheel::open(file.path(), &filename, Digest::of(&bytes), 1 << 24) {
        Ok(wheel) => wheel,
        Err(error) => return drop(error.to_string()),
    };
    let _ = wheel.verify_record();
    let python = PythonVersion::new(3, 12).expect("a version");
    let target = InstallTarget::new("/opt/venv", python).expect("a prefix");
    if let Ok(plan) = InstallPlan::new(wheel, &target) {
        // Whatever the wheel is, nothing of it leaves the prefix.
        assert!(plan.files().keys().all(|path| !path.split('/').any(|part| part == "..")));
        assert!(plan.modules().all(|module| module.starts_with("/opt/venv/")));
    }
});
