//! What the user wrote: Image, its steps, validation and the image key; no I/O.
