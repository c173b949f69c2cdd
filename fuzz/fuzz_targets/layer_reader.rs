//! Layers: whatever can be read can be written, and is then read as the same entries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Read;
use tierce_fuzz::with_tar_checksums;
use tierce_layer::{Compression, Entry, LayerReader, LayerWriter, WriteError};

const LARGEST: u64 = 1 << 20;

/// All entries; `None` if the layer is refused, or has files too large to be held here.
fn read(layer: &[u8]) -> Option<Vec<(Entry, Vec<u8>)>> {
    let mut reader = LayerReader::new(layer).ok()?;
    let mut entries = Vec::new();
    while let Some((entry, content)) = reader.next_entry().ok()? {
        let mut bytes = Vec::new();
        content.take(LARGEST).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 != entry.size() {
            return None;
        }
        entries.push((entry, bytes));
    }
    reader.finish().ok()?;
    Some(entries)
}

/// Whether readers take these bytes for a compressed file: so they do with an uncompressed tar
/// whose first name begins like one.
fn looks_compressed(layer: &[u8]) -> bool {
    let magics: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"];
    magics.iter().any(|magic| layer.starts_with(magic)) || layer.get(1..4) == Some(b"*M\x18")
}

fuzz_target!(|data: &[u8]| {
    let _ = read(data);
    let Some(entries) = read(&with_tar_checksums(data)) else { return };
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut writer = LayerWriter::new(Vec::new(), compression);
        for (entry, content) in &entries {
            match writer.append(entry, content.as_slice()) {
                Ok(()) => {}
                // Whiteouts have a way of their own; some fields fit into GNU's headers only.
                Err(WriteError::ReservedName { .. } | WriteError::TooLarge { .. }) => return,
                Err(error) => panic!("{entry:?} was read, but can't be written: {error}"),
            }
        }
        let (layer, info) = writer.finish().expect("all entries were written");
        if compression == Compression::None && looks_compressed(&layer) {
            continue;
        }
        assert_eq!(read(&layer).as_ref(), Some(&entries));
        let reader = LayerReader::new(layer.as_slice()).expect("what was written is a layer");
        assert_eq!(reader.finish().expect("what was written can be read"), info.diff_id);
    }
});
