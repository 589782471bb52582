//! What guests may do, and that nothing else they do gets through.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use lagoon_wasm::{
    Bounds, Cache, Column, Error, Hooks, Instance, Level, Manifest, Operation, Plugin, RowAnswer, RowVersion, Runtime,
    Signature, Source, Type, Value,
};

thread_local! {
    static INTERRUPTED: Cell<bool> = const { Cell::new(false) };
    static TIME_LIMIT: Cell<Duration> = const { Cell::new(Duration::from_secs(60)) };
}

const HOOKS: Hooks = Hooks {
    interrupted: || INTERRUPTED.get(),
    start_ticks: || {},
    stop_ticks: || {},
    time_limit: || TIME_LIMIT.get(),
    memory_limit: || 1 << 40,
    make_room: |_| {},
};

const MOST_MEMORY: usize = 16 << 20;

static ZOO: LazyLock<Source> = LazyLock::new(|| source(include_str!("zoo.wat")));

fn source(text: &str) -> Source {
    Source::new(wat::parse_str(text).unwrap()).unwrap()
}

fn runtime() -> Runtime {
    Runtime::new(None, HOOKS)
}

fn plugin(runtime: &Runtime, source: &Source, manifest: &str) -> Result<Plugin, Error> {
    let manifest = Manifest::parse(manifest)?;
    let loaded = runtime.compile(source, manifest.limits.fuel.is_some())?;
    Plugin::link(runtime, "zoo", &loaded, manifest)
}

fn zoo() -> Instance {
    let runtime = runtime();
    plugin(&runtime, &ZOO, "{}").unwrap().instantiate(&runtime, MOST_MEMORY).unwrap()
}

fn signature(arguments: &[Type], result: Type) -> Signature {
    Signature { arguments: arguments.to_vec(), result, strict: true }
}

/// Calls an export without arguments.
fn call(instance: &mut Instance, name: &str) -> Result<i32, Error> {
    let export = instance.export(name).unwrap();
    match instance.call(&export, &signature(&[], Type::Int4), &[])? {
        Value::Int4(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// Runs `f` while ticks come every millisecond.
fn with_ticks<T>(runtime: Arc<Runtime>, f: impl FnOnce() -> T) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let ticker = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
                runtime.tick();
            }
        })
    };
    let result = f();
    stop.store(true, Ordering::Relaxed);
    ticker.join().unwrap();
    result
}

#[test]
fn a_division_by_zero_as_first_call_is_an_error() {
    let mut zoo = zoo();
    let div = zoo.export("div").unwrap();
    let ints = signature(&[Type::Int4, Type::Int4], Type::Int4);
    let error = zoo.call(&div, &ints, &[Value::Int4(1), Value::Int4(0)]).unwrap_err();
    assert_eq!(error.sqlstate(), "22012");
    assert!(zoo.is_broken());
    let mut zoo = self::zoo();
    let div = zoo.export("div").unwrap();
    let error = zoo.call(&div, &ints, &[Value::Int4(i32::MIN), Value::Int4(-1)]).unwrap_err();
    assert_eq!(error.sqlstate(), "22003");
}

#[test]
fn scalars_cross_both_ways() {
    use Type::{Bool, Float4, Float8, Int4, Int8};
    let mut zoo = zoo();
    let mut check = |name: &str, types: &[Type], result, arguments: &[Value<'_>], wanted: Value<'_>| {
        let export = zoo.export(name).unwrap();
        assert_eq!(zoo.call(&export, &signature(types, result), arguments).unwrap(), wanted, "{name}");
    };
    check("add", &[Int4, Int4], Int4, &[Value::Int4(i32::MAX), Value::Int4(1)], Value::Int4(i32::MIN));
    check("negate", &[Bool], Bool, &[Value::Bool(false)], Value::Bool(true));
    check("twice8", &[Int8], Int8, &[Value::Int8(-5_000_000_000)], Value::Int8(-10_000_000_000));
    check("scale", &[Float8, Float4], Float8, &[Value::Float8(1.5), Value::Float4(-2.0)], Value::Float8(-3.0));
    check("nothing", &[Int4], Int4, &[Value::Int4(1)], Value::Null);
}

#[test]
fn text_crosses_both_ways_whatever_its_length() {
    let mut zoo = zoo();
    let echo = zoo.export("echo").unwrap();
    let kind = signature(&[Type::Text], Type::Text);
    for text in ["", "a", "größer", &"x".repeat(60_000)] {
        assert_eq!(zoo.call(&echo, &kind, &[Value::Text(text.as_bytes())]).unwrap(), Value::Text(text.as_bytes()));
    }
    // The zoo's buffer is as large as the rest of its memory and does not grow.
    let error = zoo.call(&echo, &kind, &[Value::Text(&[b'x'; 200_000])]).unwrap_err();
    assert_eq!(error.sqlstate(), "39000");
}

#[test]
fn functions_that_are_not_strict_get_a_bitmap_of_nulls() {
    let mut zoo = zoo();
    let nulls = zoo.export("nulls").unwrap();
    let kind = Signature { arguments: vec![Type::Int4, Type::Text], result: Type::Int4, strict: false };
    assert_eq!(zoo.call(&nulls, &kind, &[Value::Int4(1), Value::Text(b"a")]).unwrap(), Value::Int4(0));
    assert_eq!(zoo.call(&nulls, &kind, &[Value::Null, Value::Null]).unwrap(), Value::Int4(3));
    assert_eq!(zoo.call(&nulls, &kind, &[Value::Int4(1), Value::Null]).unwrap(), Value::Int4(2));
}

#[test]
fn an_instance_keeps_its_memory_and_survives_its_own_errors() {
    let mut zoo = zoo();
    assert_eq!(call(&mut zoo, "count").unwrap(), 1);
    let error = call(&mut zoo, "fail").unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().as_str()), ("LG422", "bad value"));
    assert_eq!(error.detail().as_deref(), Some("It is a test."));
    assert_eq!(error.hint().as_deref(), Some("Give another."));
    assert!(!zoo.is_broken());
    assert_eq!(call(&mut zoo, "count").unwrap(), 2);
}

#[test]
fn traps_are_errors_with_sqlstate_and_backtrace() {
    for (name, sqlstate) in [("boom", "38000"), ("panic", "LG422"), ("wild", "38000"), ("bomb", "53200")] {
        let mut zoo = zoo();
        let error = call(&mut zoo, name).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{name}: {error}");
        assert!(zoo.is_broken(), "{name}");
        assert!(error.context().unwrap().contains("wasm function"), "{name}: {:?}", error.context());
    }
    let error = call(&mut zoo(), "boom").unwrap_err();
    assert_eq!(error.context().as_deref(), Some("wasm function \"boom\""));
    let mut zoo = zoo();
    let deep = zoo.export("deep").unwrap();
    let error = zoo.call(&deep, &signature(&[Type::Int4], Type::Int4), &[Value::Int4(1)]).unwrap_err();
    assert_eq!(error.sqlstate(), "54001");
    let mut zoo = self::zoo();
    let truncate = zoo.export("truncate").unwrap();
    let error = zoo.call(&truncate, &signature(&[Type::Float8], Type::Int4), &[Value::Float8(1e300)]).unwrap_err();
    assert_eq!(error.sqlstate(), "22003");
}

#[test]
fn lies_about_memory_are_found_out() {
    let mut zoo = zoo();
    for (name, sqlstate) in [("far_text", "39000"), ("long_text", "39000"), ("bad_text", "22021")] {
        let export = zoo.export(name).unwrap();
        let error = zoo.call(&export, &signature(&[], Type::Text), &[]).unwrap_err();
        assert_eq!(error.sqlstate(), sqlstate, "{name}");
    }
    assert_eq!(call(&mut zoo, "far_error").unwrap_err().sqlstate(), "39000");
    assert_eq!(call(&mut self::zoo(), "no_error").unwrap_err().sqlstate(), "39000");
    let mut zoo = self::zoo();
    let big2 = zoo.export("big2").unwrap();
    assert_eq!(zoo.call(&big2, &signature(&[], Type::Int2), &[]).unwrap_err().sqlstate(), "22003");
}

#[test]
fn a_buffer_outside_of_memory_is_refused() {
    for address in ["-8", "0", "65535"] {
        let text = format!(
            r#"(module (memory (export "memory") 1) (func (export "lagoon_abi_1"))
              (func (export "lagoon_buffer") (param i32) (result i32) (i32.const {address}))
              (func (export "f") (param i32 i32) (result i32) (i32.const 1)))"#
        );
        let runtime = runtime();
        let mut instance = plugin(&runtime, &source(&text), "{}").unwrap().instantiate(&runtime, MOST_MEMORY).unwrap();
        let f = instance.export("f").unwrap();
        let error = instance.call(&f, &signature(&[Type::Text], Type::Int4), &[Value::Text(b"abc")]).unwrap_err();
        assert_eq!(error.sqlstate(), "39000", "{address}");
    }
}

#[test]
fn an_endless_loop_ends_with_the_time_limit_the_statement_or_the_fuel() {
    let runtime = Arc::new(runtime());
    let spin = |manifest: &str| {
        let mut zoo = plugin(&runtime, &ZOO, manifest).unwrap().instantiate(&runtime, MOST_MEMORY).unwrap();
        with_ticks(runtime.clone(), || call(&mut zoo, "spin").unwrap_err())
    };
    assert!(matches!(spin("limits: {time: 20ms}"), Error::TimeLimit { limit, .. } if limit.as_millis() == 20));
    TIME_LIMIT.set(Duration::from_millis(10));
    assert!(matches!(spin("limits: {time: 1min}"), Error::TimeLimit { limit, .. } if limit.as_millis() == 10));
    INTERRUPTED.set(true);
    let error = spin("{}");
    assert!(matches!(error, Error::Interrupted));
    assert_eq!(error.sqlstate(), "57014");
    INTERRUPTED.set(false);
    TIME_LIMIT.set(Duration::from_secs(60));
    assert!(matches!(spin("limits: {fuel: 100000}"), Error::OutOfFuel { limit: 100_000, .. }));
}

#[test]
fn fuel_is_filled_up_for_every_call() {
    let runtime = runtime();
    let mut zoo = plugin(&runtime, &ZOO, "limits: {fuel: 100}").unwrap().instantiate(&runtime, MOST_MEMORY).unwrap();
    for i in 1..=1000 {
        assert_eq!(call(&mut zoo, "count").unwrap(), i);
    }
}

#[test]
fn memory_is_limited_by_manifest_and_host_whichever_is_less() {
    let runtime = runtime();
    let start = |manifest: &str, most| plugin(&runtime, &ZOO, manifest).unwrap().instantiate(&runtime, most);
    assert!(start("limits: {memory: 128kB}", MOST_MEMORY).is_ok());
    for (manifest, most) in [("limits: {memory: 64kB}", MOST_MEMORY), ("limits: {memory: 1GB}", 64 << 10)] {
        let Err(error) = start(manifest, most) else { panic!("{manifest}: started") };
        assert_eq!(error.sqlstate(), "53200", "{error}");
    }
}

#[test]
fn rows_cross_both_ways() {
    let mut zoo = zoo();
    let columns = zoo.columns("mark").unwrap().unwrap();
    let column = |version, name: &str, kind| Column { version, name: name.to_owned(), kind };
    assert_eq!(
        columns,
        [
            column(RowVersion::Row, "name", Type::Text),
            column(RowVersion::Row, "size", Type::Int4),
            column(RowVersion::Old, "name", Type::Text)
        ]
    );
    assert_eq!(zoo.columns("quiet").unwrap(), None);
    let kinds = [Some(Type::Text), Some(Type::Int4), Some(Type::Text)];
    let mark = zoo.export("mark").unwrap();

    let row = [Value::Text(b"abc"), Value::Null, Value::Null];
    assert_eq!(zoo.row(&mark, Operation::Insert, &kinds, &row).unwrap(), RowAnswer::Modified);
    assert_eq!(zoo.changed(0, Type::Text).unwrap(), Some(Value::Text(b"#bc")));
    assert_eq!(zoo.changed(1, Type::Int4).unwrap(), Some(Value::Int4(1)));
    assert_eq!(zoo.changed(2, Type::Text).unwrap(), None);

    let row = [Value::Text(b"xyz"), Value::Int4(9), Value::Text(b"older")];
    assert_eq!(zoo.row(&mark, Operation::Update, &kinds, &row).unwrap(), RowAnswer::Modified);
    assert_eq!(zoo.changed(1, Type::Int4).unwrap(), Some(Value::Int4(5)));

    let mut with = |text: &'static [u8]| {
        let value = if text.is_empty() { Value::Null } else { Value::Text(text) };
        zoo.row(&mark, Operation::Insert, &kinds, &[value, Value::Null, Value::Null])
    };
    assert_eq!(with(b"").unwrap(), RowAnswer::Skip);
    assert_eq!(with(b"-as is").unwrap(), RowAnswer::Unchanged);
    assert_eq!(with(b"!").unwrap_err().sqlstate(), "LG422");
    assert_eq!(with(b"?").unwrap_err().sqlstate(), "39000");
}

#[test]
fn lies_in_the_row_buffer_are_found_out() {
    let mut zoo = zoo();
    let liar = zoo.export("liar").unwrap();
    let answer = zoo.row(&liar, Operation::Insert, &[Some(Type::Text)], &[Value::Text(b"a")]).unwrap();
    assert_eq!(answer, RowAnswer::Modified);
    assert_eq!(zoo.changed(0, Type::Text).unwrap_err().sqlstate(), "39000");
    assert_eq!(zoo.changed(0, Type::Int4).unwrap_err().sqlstate(), "39000");
}

#[test]
fn malformed_modules_are_refused_with_a_reason() {
    let runtime = runtime();
    let state = |bytes: &[u8]| Source::new(bytes).unwrap_err().sqlstate().to_owned();
    assert_eq!(state(b""), "22P03");
    assert_eq!(state(b"(module)"), "22P03");
    assert_eq!(state(b"\x7fELF\x02\x01\x01\0\0\0"), "22P03");
    assert_eq!(state(b"\0asm\x02\0\0\0"), "22P03");
    assert_eq!(state(b"\0asm\x0d\0\x01\0"), "0A000");
    let good = ZOO.bytes();
    // Every truncation and a flip of every byte: an error or a module, never a panic.
    for cut in 8..good.len() {
        let source = Source::new(&good[..cut]).unwrap();
        if let Ok(plugin) = plugin(&runtime, &source, "{}") {
            drop(plugin.instantiate(&runtime, MOST_MEMORY));
        }
    }
    for at in (8..good.len()).step_by(7) {
        let mut bytes = good.to_vec();
        bytes[at] ^= 0x41;
        drop(plugin(&runtime, &Source::new(bytes).unwrap(), "{}"));
    }
}

#[test]
fn bombs_for_the_compiler_are_errors_or_modules() {
    let runtime = runtime();
    let nested = |n: usize| format!("(module (func {} {}))", "(block ".repeat(n), ")".repeat(n));
    let flat = |n: usize, open: &str| format!("(module (func {} {}))", open.repeat(n), "end ".repeat(n));
    let sum =
        |n: usize| format!("(module (func (result i32) {} {}))", "i32.const 1 ".repeat(n), "i32.add ".repeat(n - 1));
    let locals = |n: usize| format!("(module (func (local {})))", "i64 ".repeat(n));
    for (text, compiles) in [
        (nested(500), true),
        (flat(5_000, "block "), true),
        (flat(2_000, "loop "), true),
        (sum(5_000), true),
        (locals(50_000), true),
        (locals(50_001), false),
    ] {
        let compiled = runtime.compile(&source(&text), false);
        assert_eq!(compiled.is_ok(), compiles, "{}: {:?}", text.get(..60).unwrap_or(&text), compiled.err());
    }
}

#[test]
fn huge_tables_and_memories_do_not_start() {
    let runtime = runtime();
    for part in ["(table 4294967295 funcref)", "(table 2000000 funcref)", "(memory 65536)", "(memory 257)"] {
        let text = format!(r#"(module (func (export "lagoon_abi_1")) {part})"#);
        let started = plugin(&runtime, &source(&text), "{}").unwrap().instantiate(&runtime, MOST_MEMORY);
        assert_eq!(started.map(|_| ()).unwrap_err().sqlstate(), "53200", "{part}");
    }
}

#[test]
fn imports_and_exports_are_checked_before_anything_runs() {
    let runtime = runtime();
    let refused = |text: &str, manifest: &str| match plugin(&runtime, &source(text), manifest) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.sqlstate().to_owned(),
    };
    assert_eq!(refused("(module)", "{}"), "42883");
    assert_eq!(refused(r#"(module (func (export "lagoon_abi_9")))"#, "{}"), "0A000");
    let wasi = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)) (func (export "lagoon_abi_1")))"#;
    assert_eq!(refused(wasi, "{}"), "42883");
    let logs = r#"(module (import "lagoon" "log" (func (param i32 i32 i32))) (func (export "lagoon_abi_1")))"#;
    assert_eq!(refused(logs, "{}"), "42501");
    assert!(plugin(&runtime, &source(logs), "permissions: [log]").is_ok());
    let wrong = r#"(module (import "lagoon" "error" (func (param i64))) (func (export "lagoon_abi_1")))"#;
    assert_eq!(refused(wrong, "{}"), "22P03");
    assert_eq!(refused(include_str!("zoo.wat"), "name: other"), "22023");

    let zoo = plugin(&runtime, &ZOO, "{}").unwrap();
    let ints = signature(&[Type::Int4, Type::Int4], Type::Int4);
    assert!(zoo.check_function("add", &ints).is_ok());
    assert_eq!(zoo.check_function("sub", &ints).unwrap_err().sqlstate(), "42883");
    assert_eq!(zoo.check_function("memory", &ints).unwrap_err().sqlstate(), "42P13");
    assert_eq!(zoo.check_function("scale", &ints).unwrap_err().sqlstate(), "42P13");
    let loose = Signature { strict: false, ..ints };
    assert_eq!(zoo.check_function("add", &loose).unwrap_err().sqlstate(), "42P13");
    assert!(zoo.check_trigger("mark").is_ok());
    assert_eq!(zoo.check_trigger("add").unwrap_err().sqlstate(), "42P13");
}

#[test]
fn a_start_function_is_limited_too() {
    let runtime = Arc::new(runtime());
    let text = r#"(module (func (export "lagoon_abi_1")) (func $s (loop $l (br $l))) (start $s))"#;
    let plugin = plugin(&runtime, &source(text), "limits: {time: 10ms}").unwrap();
    let started = with_ticks(runtime.clone(), || plugin.instantiate(&runtime, MOST_MEMORY).map(|_| ()));
    assert!(matches!(started, Err(Error::TimeLimit { .. })));
}

#[test]
fn logs_are_kept_cut_and_limited() {
    let text = r#"(module (import "lagoon" "log" (func $log (param i32 i32 i32))) (memory (export "memory") 1)
        (data (i32.const 0) "hello") (func (export "lagoon_abi_1"))
        (func (export "say") (param i32) (result i32) (call $log (local.get 0) (i32.const 0) (i32.const 5)) (i32.const 0))
        (func (export "long") (result i32) (call $log (i32.const 4) (i32.const 0) (i32.const 65536)) (i32.const 0))
        (func (export "flood") (result i32) (loop $l (call $log (i32.const 4) (i32.const 0) (i32.const 5)) (br $l)) (i32.const 0)))"#;
    let runtime = runtime();
    let plugin = plugin(&runtime, &source(text), "permissions: [log]").unwrap();
    let mut instance = plugin.instantiate(&runtime, MOST_MEMORY).unwrap();
    let say = instance.export("say").unwrap();
    let int = signature(&[Type::Int4], Type::Int4);
    instance.call(&say, &int, &[Value::Int4(3)]).unwrap();
    let lines = instance.take_log();
    assert_eq!((lines[0].level, lines[0].text.as_str(), lines.len()), (Level::Notice, "hello", 1));
    assert_eq!(instance.call(&say, &int, &[Value::Int4(5)]).unwrap_err().sqlstate(), "39000");
    let mut instance = plugin.instantiate(&runtime, MOST_MEMORY).unwrap();
    call(&mut instance, "long").unwrap();
    assert!((8000..=8195).contains(&instance.take_log()[0].text.len()));
    assert_eq!(call(&mut instance, "flood").unwrap_err().sqlstate(), "54000");
    assert_eq!(instance.take_log().len(), 1000);
}

#[test]
fn the_cache_gives_back_what_it_was_given_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let with_secret = |secret: &[u8]| Runtime::new(Some(Cache::new(folder.path().join("deep/er"), secret)), HOOKS);
    let first = with_secret(b"one").compile(&ZOO, false).unwrap();
    assert!(!first.cached && first.cache_failure.is_none());
    assert!(with_secret(b"one").compile(&ZOO, false).unwrap().cached);
    // Fuel is another compilation, another secret another server.
    assert!(!with_secret(b"one").compile(&ZOO, true).unwrap().cached);
    assert!(!with_secret(b"two").compile(&ZOO, false).unwrap().cached);
    let files =
        || std::fs::read_dir(folder.path().join("deep/er")).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(files().len(), 2, "no temporary files are left: {:?}", files());
    // A file that was tampered with, cut or emptied is compiled anew, and then is whole again.
    for tamper in [|b: &mut Vec<u8>| b[100] ^= 1, |b: &mut Vec<u8>| b.truncate(1000), Vec::clear] {
        assert!(with_secret(b"one").compile(&ZOO, false).is_ok());
        for file in files() {
            let mut bytes = std::fs::read(&file).unwrap();
            tamper(&mut bytes);
            std::fs::write(&file, bytes).unwrap();
        }
        assert!(!with_secret(b"one").compile(&ZOO, false).unwrap().cached);
        assert!(with_secret(b"one").compile(&ZOO, false).unwrap().cached);
    }
    // A directory that cannot be written costs speed, not correctness.
    let blocked = folder.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let loaded = Runtime::new(Some(Cache::new(blocked.join("x"), b"")), HOOKS).compile(&ZOO, false).unwrap();
    assert!(loaded.cache_failure.is_some());
}

#[test]
fn the_cache_keeps_within_its_bounds_what_was_used_last() {
    let folder = tempfile::tempdir().unwrap();
    let numbered = |number: i32| {
        let text = format!(
            "(module (func (export \"lagoon_abi_1\")) (func (export \"n\") (result i32) (i32.const {number})))"
        );
        Source::new(wat::parse_str(text).unwrap()).unwrap()
    };
    let age = |name: &str, hours: u64| {
        let file = std::fs::File::options().append(true).open(folder.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600 * hours)).unwrap();
    };
    let names = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<std::collections::BTreeSet<_>>()
    };
    let runtime =
        |files, bytes| Runtime::new(Some(Cache::new(folder.path(), b"").with_bounds(Bounds { files, bytes })), HOOKS);
    let compile = |number: i32| {
        let before = names();
        assert!(runtime(3, 1 << 30).compile(&numbered(number), false).unwrap().cache_failure.is_none());
        names().difference(&before).next().cloned()
    };
    let one = compile(1).unwrap();
    age(&one, 3);
    let two = compile(2).unwrap();
    age(&two, 2);
    // A use counts, and so "two" is the one that goes.
    assert!(runtime(3, 1 << 30).cached(&numbered(1).hash(), false).unwrap().is_some());
    let three = compile(3).unwrap();
    let four = compile(4).unwrap();
    assert_eq!(names(), [one, three, four.clone()].into());

    // Files of another version, of the names of older ones, and of writers that crashed.
    let foreign = format!("{}-p0123456789abcdef.cwasm", "0".repeat(64));
    let other_kind = format!("{}-f0123456789abcdef.cwasm", "0".repeat(64));
    let old_name = format!("{}-0123456789abcdef.cwasm", "0".repeat(64));
    for name in [&foreign, &other_kind, &old_name, "crashed.1.2.tmp", "writing.1.2.tmp"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    age("crashed.1.2.tmp", 2);
    assert!(runtime(100, 1 << 30).compile(&numbered(5), false).unwrap().cache_failure.is_none());
    let left = names();
    assert!(!left.contains(&foreign) && !left.contains(&old_name) && !left.contains("crashed.1.2.tmp"), "{left:?}");
    assert!(left.contains(&other_kind) && left.contains("writing.1.2.tmp") && left.contains(&four), "{left:?}");

    // Bytes are bounded too; what is larger than all of it is not written.
    let size = std::fs::metadata(folder.path().join(&four)).unwrap().len();
    assert!(runtime(100, size + 1).compile(&numbered(6), false).unwrap().cache_failure.is_none());
    assert_eq!(names().len(), 1, "{:?}", names());
    assert!(runtime(100, 10).compile(&numbered(7), false).unwrap().cache_failure.is_none());
    assert!(!runtime(100, 10).compile(&numbered(7), false).unwrap().cached);
}

#[test]
fn tests_in_the_server_use_this_zoo() {
    let hex: String = ZOO.bytes().iter().map(|b| format!("{b:02x}")).collect();
    let renew = "renew it: cargo run --release -p lagoon-wasm --example wat < crates/wasm/tests/zoo.wat";
    assert!(include_str!("zoo.hex").trim() == hex, "crates/wasm/tests/zoo.hex is not zoo.wat; {renew}");
    let suite = include_str!("../../../pg_test/sql/wasm.sql");
    assert!(suite.contains(&format!("'{hex}'")), "the zoo in pg_test/sql/wasm.sql is not zoo.wat; {renew}");
}
