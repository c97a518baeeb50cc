//! Composition root: builds all parts out of a configuration and connects them.
