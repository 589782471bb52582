//! Turns WebAssembly text on standard input into hexadecimal on standard output, for tests that carry a module inline.
use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    println!("{}", wat::parse_str(&text)?.iter().map(|b| format!("{b:02x}")).collect::<String>());
    Ok(())
}
