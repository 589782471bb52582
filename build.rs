//! Leaves debug sections out of the shared library: those of all dependencies together are three times its size. Symbols
//! stay, so profiles and backtraces name functions.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-cdylib=-Wl,--strip-debug");
}
