//! Layer formats: deterministic tar, gzip members, zstd, whiteouts; bytes in, bytes out.
