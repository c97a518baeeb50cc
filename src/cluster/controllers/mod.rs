//! The controllers: each a function from context and key to what comes next.
