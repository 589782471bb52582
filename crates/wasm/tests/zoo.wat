;; Exports that behave, that misbehave and that lie, for the engine's tests and for pg_test/sql/wasm.sql.
(module $zoo
  (import "lagoon" "error" (func $error (param i32 i32)))
  (import "lagoon" "return_null" (func $return_null))
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 16) "LG422bad value\00It is a test.\00Give another.")
  (data (i32.const 64) "name:text\nsize:int4\nold.name:text")
  (data (i32.const 112) "\ff\fe")
  (data (i32.const 128) "00000success is no error")
  (func (export "lagoon_abi_1"))
  (func (export "lagoon_buffer") (param i32) (result i32) (i32.const 65536))

  ;; Behaves.
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "negate") (param i32) (result i32) (i32.eqz (local.get 0)))
  (func (export "twice8") (param i64) (result i64) (i64.shl (local.get 0) (i64.const 1)))
  (func (export "scale") (param f64 f32) (result f64) (f64.mul (local.get 0) (f64.promote_f32 (local.get 1))))
  (func (export "echo") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
  (func (export "nulls") (param i64 i32 i32 i32) (result i32) (i32.wrap_i64 (local.get 0)))
  (func (export "nothing") (param i32) (result i32) (call $return_null) (i32.const 7))
  (func (export "count") (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls))

  ;; Raises an error of its own, and goes on living.
  (func (export "fail") (result i32) (call $error (i32.const 16) (i32.const 42)) (i32.const 0))
  ;; As a guest that panics does: says why, then stops.
  (func $panic (export "panic") (result i32) (call $error (i32.const 16) (i32.const 14)) unreachable)

  ;; Misbehaves.
  (func $div (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "truncate") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func $boom (export "boom") (result i32) unreachable)
  (func $spin (export "spin") (result i32) (loop $again (br $again)) (i32.const 0))
  (func $deep (export "deep") (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func $bomb (export "bomb") (result i32)
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 100)) (i32.const -1)))) unreachable)
  (func $wild (export "wild") (result i32) (i32.load (i32.const 0x7fffffff)))

  ;; Lies.
  (func (export "far_text") (result i64) (i64.const 0x7fffffff00000010))
  (func (export "long_text") (result i64) (i64.const 0x00000010ffffffff))
  (func (export "bad_text") (result i64) (i64.const 0x0000007000000002))
  (func (export "far_error") (result i32) (call $error (i32.const -4) (i32.const 100)) (i32.const 0))
  (func (export "no_error") (result i32) (call $error (i32.const 128) (i32.const 24)) (i32.const 0))
  (func (export "big2") (result i32) (i32.const 70000))

  ;; Row triggers. The row starts at the parameter: header of 16 bytes, then slots of 16 bytes.
  (func (export "mark_columns") (result i64) (i64.const 0x0000004000000021))
  (func (export "mark") (param $row i32) (result i32)
    (local $name i32)
    (if (i32.and (i32.load8_u offset=17 (local.get $row)) (i32.const 1)) (then (return (i32.const 1)))) ;; NULL: skip
    (local.set $name (i32.load offset=24 (local.get $row)))
    ;; '-' first: unchanged; '!' first: error; '?' first: a code that there is not
    (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 45)) (then (return (i32.const 0))))
    (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 33))
      (then (call $error (i32.const 16) (i32.const 42)) (return (i32.const 3))))
    (if (i32.eq (i32.load8_u (local.get $name)) (i32.const 63)) (then (return (i32.const 9))))
    (i32.store8 (local.get $name) (i32.const 35)) ;; '#'
    (i32.store8 offset=17 (local.get $row) (i32.const 2))
    ;; size := length of OLD.name, or of the operation in an INSERT
    (if (i32.and (i32.load8_u offset=49 (local.get $row)) (i32.const 1))
      (then (i64.store offset=40 (local.get $row) (i64.load32_u (local.get $row))))
      (else (i64.store offset=40 (local.get $row) (i64.load32_u offset=52 (local.get $row)))))
    (i32.store8 offset=33 (local.get $row) (i32.const 2))
    (i32.const 2))
  ;; Declares nothing, sees all columns, says where a text is that is not.
  (func (export "liar") (param $row i32) (result i32)
    (i64.store offset=24 (local.get $row) (i64.const 0x7fffffff))
    (i32.store8 offset=17 (local.get $row) (i32.const 2))
    (i32.const 2))
  (func (export "quiet") (param i32) (result i32) (i32.const 0)))
