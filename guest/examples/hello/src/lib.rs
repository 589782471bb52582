//! SQL functions in Rust: scalars, text, NULL, errors.
//!
//! ```sql
//! CREATE FUNCTION add(int, int) RETURNS int LANGUAGE wasm IMMUTABLE STRICT PARALLEL SAFE AS 'hello:add';
//! CREATE FUNCTION greet(text) RETURNS text LANGUAGE wasm IMMUTABLE STRICT AS 'hello:greet';
//! CREATE FUNCTION divide(bigint, bigint) RETURNS bigint LANGUAGE wasm IMMUTABLE STRICT AS 'hello:divide';
//! CREATE FUNCTION parse(text) RETURNS int LANGUAGE wasm IMMUTABLE STRICT AS 'hello:parse';
//! CREATE FUNCTION first_of(text, text) RETURNS text LANGUAGE wasm IMMUTABLE AS 'hello:first_of';
//! ```

use lagoon_guest::{function, nullable_function, plugin, Error};

plugin!();

function! {
    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    /// Division by zero traps, and becomes PostgreSQL's own error for it.
    fn divide(a: i64, b: i64) -> i64 {
        a / b
    }

    fn greet(name: &str) -> String {
        format!("hello, {}", name.trim())
    }

    fn parse(text: &str) -> Result<i32, Error> {
        let number = text.trim().parse();
        number.map_err(|error| {
            Error::new("22P02", format!("invalid input for parse: \"{text}\"")).detail(format!("{error}."))
        })
    }

    /// NULL when there is no vowel.
    fn vowels(text: &str) -> Option<i32> {
        let count = text.chars().filter(|c| "aeiouAEIOU".contains(*c)).count();
        (count > 0).then_some(count as i32)
    }
}

nullable_function! {
    /// As coalesce().
    fn first_of(a: Option<&str>, b: Option<&str>) -> Option<String> {
        a.or(b).map(str::to_owned)
    }
}
