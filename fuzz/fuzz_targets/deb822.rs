//! Control data, and package indices with all that depends on what they say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_debian::{PackageList, PackageSpec, Paragraph, Paragraphs, Priority, Request, resolve};

fuzz_target!(|data: &[u8]| {
    for paragraph in Paragraphs::new(data).map_while(Result::ok) {
        for (name, value) in paragraph.fields() {
            assert!(!name.is_empty() && !value.contains("\n\n"));
            assert!(paragraph.get(name).is_some());
        }
    }
    let _ = std::str::from_utf8(data).map(Paragraph::parse_one);
    let mirror = "http://localhost/debian".parse().expect("a URL");
    let Ok(list) = PackageList::parse(data, mirror) else { return };
    let names: Vec<PackageSpec> = list.names().filter_map(|name| name.parse().ok()).collect();
    for name in names {
        let request = Request { names: vec![name], essential: true, ..Request::default() };
        let _ = resolve(std::slice::from_ref(&list), &request);
    }
    let priorities = [Priority::Required, Priority::Important, Priority::Standard].into();
    let _ = resolve(&[list], &Request { priorities, ..Request::base() });
});
