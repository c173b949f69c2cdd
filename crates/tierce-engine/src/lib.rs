//! Plans, checks, selects builders, builds and exports; knows no driver.
