//! The pages that the binary serves.
