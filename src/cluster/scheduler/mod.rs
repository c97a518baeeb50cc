//! Gives pods their node.
