//! Downloads by hash over HTTP(S) with retries; knows nothing of what it downloads.
