//! Runs programs in a root file system, isolated; the only unsafe code.
