//! The OCI distribution client; knows no store.
