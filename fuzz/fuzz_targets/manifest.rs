//! Manifests, indices and configurations: what is read, written and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tierce_oci::{ImageConfig, Index, Manifest, MediaType, Platform};

fuzz_target!(|data: &[u8]| {
    for media_type in [MediaType::OciManifest, MediaType::DockerManifest] {
        if let Ok(manifest) = Manifest::parse(data, &media_type) {
            let again = Manifest::parse(&manifest.to_bytes(), &media_type);
            assert_eq!(again.expect("what was written is a manifest"), manifest);
        }
    }
    for media_type in [MediaType::OciIndex, MediaType::DockerIndex] {
        if let Ok(index) = Index::parse(data, &media_type) {
            let again = Index::parse(&index.to_bytes(), &media_type);
            assert_eq!(again.expect("what was written is an index"), index);
            let chosen = index.select(&Platform::linux("amd64"));
            assert!(chosen.is_none() || !index.platforms().is_empty());
        }
    }
    if let Ok(mut config) = ImageConfig::parse(data) {
        let again = ImageConfig::parse(&config.to_bytes());
        assert_eq!(again.expect("what was written is a configuration"), config);
        config.set_env("PATH", "/bin");
        assert!(config.env().contains(&("PATH".to_owned(), "/bin".to_owned())));
    }
});
