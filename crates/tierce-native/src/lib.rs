//! The native builder: images without Docker, a daemon or root.
