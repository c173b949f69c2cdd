//! The local store: blobs, records, OCI layouts, locks, collection; knows no registry.
