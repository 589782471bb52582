//! Modules for plugins of tests.

/// A plugin that echoes, adds, fails, and loops for ever.
pub fn looping() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "lagoon" "error" (func $error (param i32 i32)))
            (func (export "lagoon_abi_1"))
            (memory (export "memory") 2)
            (data (i32.const 16) "LG422bad value")
            ;; One buffer, from the second page on.
            (func (export "lagoon_buffer") (param $size i32) (result i32) (local $pages i32)
                (local.set $pages (i32.add (i32.shr_u (local.get $size) (i32.const 16)) (i32.const 2)))
                (if (i32.lt_u (memory.size) (local.get $pages))
                    (then (if (i32.eq (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const -1))
                        (then unreachable))))
                (i32.const 65536))
            (func $spin (export "spin") (result i32) (loop $again (br $again)) (i32.const 0))
            (func (export "spin_text") (param i32 i32) (result i32) (call $spin))
            (func (export "spin_row") (param i32) (result i32) (call $spin))
            (func (export "leave_row") (param i32) (result i32) (i32.const 0))
            (func (export "skip_row") (param i32) (result i32) (i32.const 1))
            (func (export "odd_row") (param i32) (result i32) (i32.const 77))
            (func (export "echo") (param i32 i32) (result i64)
                (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
            (func (export "beyond") (param i32 i32) (result i64) (i64.const -1))
            (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
            (func (export "divide") (param i64 i64) (result i64) (i64.div_s (local.get 0) (local.get 1)))
            (func (export "half") (param f64) (result f64) (f64.mul (local.get 0) (f64.const 0.5)))
            (func (export "float") (param f32) (result f32) (local.get 0))
            (func (export "negate") (param i32) (result i32) (i32.eqz (local.get 0)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "fail") (result i32) (call $error (i32.const 16) (i32.const 14)) (i32.const 0))
            (func $deep (export "deep") (param i32) (result i32)
                (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
            (func (export "trap") (result i32) unreachable))"#,
    )
    .unwrap()
}

/// A module that takes its time to compile: `functions` functions with `length` additions and multiplications each.
pub fn large(functions: u32, length: usize) -> Vec<u8> {
    let section = |id: u8, content: Vec<u8>| [vec![id], leb(content.len() as u32), content].concat();
    let body = [vec![0], b"\x20\x00\x20\x00\x41\x07\x6a\x6c\x21\x00".repeat(length), b"\x20\x00\x0b".to_vec()].concat();
    let one = [leb(body.len() as u32), body].concat();
    let name = b"lagoon_abi_1";
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, b"\x01\x60\x01\x7f\x01\x7f".to_vec()),
        section(3, [leb(functions), vec![0; functions as usize]].concat()),
        section(7, [vec![1, name.len() as u8], name.to_vec(), vec![0, 0]].concat()),
        section(10, [leb(functions), one.repeat(functions as usize)].concat()),
    ]
    .concat()
}

fn leb(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Bytes as a `bytea` literal.
pub fn bytea(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 12);
    text.push_str("'\\x");
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push_str("'::bytea");
    text
}
