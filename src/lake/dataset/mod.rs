//! Datasets: their rows in the catalogue, where their files are, and when these go.

pub mod catalog;
pub mod files;
pub mod home;
pub mod orphans;
pub mod pending;
