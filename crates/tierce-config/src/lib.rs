//! The only reader of the environment, config files and the home directory.
