//! The Debian archive: Release, Packages, .deb; knows no builder.
