//! What a path leads to for a role: who may read where, and the files that are found and opened by these rights.

pub mod access;
pub mod files;
