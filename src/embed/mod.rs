//! TODO

pub fn init() {}
