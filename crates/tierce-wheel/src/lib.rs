//! From requirements to locks to wheels to layers; knows no builder.
