//! Limits that hold whatever a guest does and whenever a tick comes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lagoon_wasm::{Error, Hooks, Instance, Manifest, Plugin, Runtime, Signature, Source, Type, Value};

const MOST_MEMORY: usize = 64 << 20;

const HOOKS: Hooks = Hooks {
    interrupted: || false,
    start_ticks: || {},
    stop_ticks: || {},
    time_limit: || Duration::from_secs(60),
    memory_limit: || 1 << 40,
    make_room: |_| {},
};

fn start(runtime: &Runtime, text: &str, manifest: &str) -> Result<Instance, Error> {
    plugin(runtime, text, manifest)?.instantiate(runtime, MOST_MEMORY)
}

fn plugin(runtime: &Runtime, text: &str, manifest: &str) -> Result<Plugin, Error> {
    let manifest = Manifest::parse(manifest)?;
    let source = Source::new(wat::parse_str(text).unwrap())?;
    let loaded = runtime.compile(&source, manifest.limits.fuel.is_some())?;
    Plugin::link(runtime, "limits", &loaded, manifest)
}

fn call(instance: &mut Instance, name: &str, arguments: &[Value<'_>]) -> Result<i32, Error> {
    let export = instance.export(name).unwrap();
    let arguments_of =
        arguments.iter().map(|a| if let Value::Text(_) = a { Type::Text } else { Type::Int4 }).collect::<Vec<_>>();
    let signature = Signature { arguments: arguments_of, result: Type::Int4, strict: true };
    match instance.call(&export, &signature, arguments)? {
        Value::Int4(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

const SPIN: &str = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 1)
    (func (export "lagoon_buffer") (param i32) (result i32) (i32.const 16))
    (func (export "one") (result i32) (i32.const 1))
    (func (export "boom") (result i32) unreachable)
    (func (export "length") (param i32 i32) (result i32) (local.get 1))
    (func (export "spin") (result i32) (loop $l (br $l)) (i32.const 0)))"#;

/// One tick, between the arming of the limits and the first instruction of the guest, and never another one.
#[test]
fn a_tick_that_comes_before_the_guest_is_seen_by_it() {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let tick = || RUNTIME.get().expect("made below").tick();
    let runtime =
        RUNTIME.get_or_init(|| Runtime::new(None, Hooks { interrupted: || true, start_ticks: tick, ..HOOKS }));
    for manifest in ["{}", "limits: {fuel: 1000000000000}"] {
        let mut guest = start(runtime, SPIN, manifest).unwrap();
        assert!(matches!(call(&mut guest, "spin", &[]), Err(Error::Interrupted)));
    }
    let starts = r#"(module (func (export "lagoon_abi_1")) (func $s (loop $l (br $l))) (start $s))"#;
    assert!(matches!(start(runtime, starts, "{}").map(|_| ()), Err(Error::Interrupted)));
}

/// Whoever gives the ticks knows from the hooks alone while they are needed: ticks at the worst moments, one after another,
/// and none after the last guest has returned, however it did.
#[test]
fn ticks_are_wanted_exactly_while_a_guest_runs() {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let hooks = Hooks {
        // The next tick comes while the last one is still being answered.
        interrupted: || {
            RUNTIME.get().expect("made below").tick();
            LOOKS.fetch_add(1, Ordering::Relaxed) > 3
        },
        start_ticks: || count(1),
        stop_ticks: || count(usize::MAX),
        ..HOOKS
    };
    fn count(change: usize) {
        RUNNING.fetch_add(change, Ordering::Relaxed); // wraps around for -1
    }
    let runtime = RUNTIME.get_or_init(|| Runtime::new(None, hooks));
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(is_over);
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                if RUNNING.load(Ordering::Relaxed) > 0 {
                    runtime.tick();
                }
                std::thread::yield_now();
            }
        });
        let nobody_runs = || assert_eq!(RUNNING.load(Ordering::Relaxed), 0);
        let mut guest = start(runtime, SPIN, "{}").unwrap();
        assert!(matches!(call(&mut guest, "spin", &[]), Err(Error::Interrupted)));
        nobody_runs();
        LOOKS.store(0, Ordering::Relaxed);
        let mut guest = start(runtime, SPIN, "{}").unwrap();
        assert_eq!(call(&mut guest, "one", &[]).unwrap(), 1);
        nobody_runs();
        assert_eq!(call(&mut guest, "boom", &[]).unwrap_err().sqlstate(), "38000");
        nobody_runs();
    });
}

#[test]
fn a_long_text_is_an_error_of_its_own() {
    let runtime = Runtime::new(None, HOOKS);
    let mut guest = start(&runtime, SPIN, "{}").unwrap();
    let text = vec![b'x'; MOST_MEMORY + 1];
    assert_eq!(call(&mut guest, "length", &[Value::Text(&text)]).unwrap_err().sqlstate(), "53200");
    // A guest that gives a wrong address because it was refused memory.
    let polite = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 1)
        (func (export "lagoon_buffer") (param i32) (result i32)
            (if (result i32) (i32.eq (memory.grow (i32.shr_u (i32.add (local.get 0) (i32.const 65535)) (i32.const 16))) (i32.const -1))
                (then (i32.const 0)) (else (i32.const 65536))))
        (func (export "length") (param i32 i32) (result i32) (local.get 1)))"#;
    let mut guest = start(&runtime, polite, "limits: {memory: 1MB}").unwrap();
    let text = vec![b'x'; (1 << 20) - 100];
    assert_eq!(call(&mut guest, "length", &[Value::Text(&text)]).unwrap_err().sqlstate(), "53200");
    assert!(!guest.is_broken());
    assert_eq!(call(&mut guest, "length", &[Value::Text(b"abc")]).unwrap(), 3);

    let endless = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 16385)
        (func (export "lagoon_buffer") (param i32) (result i32) (i32.const 16))
        (func (export "f") (result i64) (i64.const 1073741820)))"#;
    let plugin = plugin(&runtime, endless, "{}").unwrap();
    let mut guest = plugin.instantiate(&runtime, 2 << 30).unwrap();
    let export = guest.export("f").unwrap();
    let text = Signature { arguments: Vec::new(), result: Type::Text, strict: true };
    assert_eq!(guest.call(&export, &text, &[]).unwrap_err().sqlstate(), "54000");
}

const GROW: &str = r#"(module (func (export "lagoon_abi_1")) (memory (export "memory") 1)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "must_grow") (param i32) (result i32)
        (if (i32.eq (memory.grow (local.get 0)) (i32.const -1)) (then unreachable)) (i32.const 1)))"#;

#[test]
fn all_instances_together_have_a_limit_and_idle_ones_make_room() {
    thread_local! {
        static IDLE: RefCell<Vec<Instance>> = const { RefCell::new(Vec::new()) };
        static ASKED: Cell<usize> = const { Cell::new(0) };
    }
    let hooks = Hooks {
        memory_limit: || 20 << 20,
        make_room: |bytes| {
            ASKED.set(bytes);
            IDLE.with_borrow_mut(|idle| drop(idle.pop()));
        },
        ..HOOKS
    };
    let runtime = Runtime::new(None, hooks);
    let mut first = start(&runtime, GROW, "{}").unwrap();
    call(&mut first, "must_grow", &[Value::Int4(159)]).unwrap();
    assert_eq!((first.memory(), first.growth(), runtime.memory()), (10 << 20, 159 << 16, 10 << 20));
    IDLE.with_borrow_mut(|idle| idle.push(first));
    let mut second = start(&runtime, GROW, "{}").unwrap();
    call(&mut second, "must_grow", &[Value::Int4(159 + 16)]).unwrap();
    assert_eq!(ASKED.get(), 1 << 20, "what is missing");
    assert_eq!(runtime.memory(), 11 << 20, "the idle one is gone");
    let error = call(&mut second, "must_grow", &[Value::Int4(160)]).unwrap_err();
    assert_eq!(error.sqlstate(), "53200");
    assert!(error.to_string().contains("session"), "{error}");
    drop(second);
    assert_eq!(runtime.memory(), 0);
}

/// Names and messages of a guest: neither long nor able to draw on a terminal or to begin a new line of a log.
#[test]
fn the_context_is_short_and_plain_whatever_the_names() {
    // Each tuple of the mangled name refers back to the one before it twice: some hundred bytes for many megabytes.
    let mut bomb = String::from("IC1a");
    let mut last = String::from("m");
    for _ in 0..30 {
        let at = bomb.len();
        bomb.push_str(&format!("T{last}{last}E"));
        last = back_to(at);
    }
    let bomb = format!("_R{bomb}E");
    let text = format!(
        r#"(module (import "lagoon" "error" (func $error (param i32 i32)))
        (func (export "lagoon_abi_1")) (memory (export "memory") 1)
        (data (i32.const 16) "P0001bad\n\1b[31mvalue\00de\07tail")
        (func (export "say") (result i32) (call $error (i32.const 16) (i32.const 28)) (i32.const 0))
        (func (export "f") (param i32) (result i32) (call $a (local.get 0)))
        (func $a (@name "a\nb\1b[2J\u{{202e}}") (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then unreachable)) (call $b (i32.sub (local.get 0) (i32.const 1))))
        (func $b (@name "{long}") (param i32) (result i32) (call $c (local.get 0)))
        (func $c (@name "{bomb}") (param i32) (result i32) (call $a (local.get 0))))"#,
        long = "x".repeat(90_000),
    );
    let runtime = Runtime::new(None, HOOKS);
    let mut guest = start(&runtime, &text, "{}").unwrap();
    let error = call(&mut guest, "say", &[]).unwrap_err();
    assert_eq!(error.to_string(), "bad\\n\\u{1b}[31mvalue");
    assert_eq!(error.detail().as_deref(), Some("de\\u{7}tail"));
    let error = call(&mut guest, "f", &[Value::Int4(50)]).unwrap_err().within("limits", "f\ng");
    let context = error.context().unwrap();
    assert!(context.starts_with("wasm function \"a\\nb\\u{1b}[2J\\u{202e}\"\n"), "{context}");
    assert!(context.ends_with("\n... and the functions that called it\nwasm function \"limits:f\\ng\""), "{context}");
    assert!(context.len() < 8000 && context.lines().count() <= 22, "{} bytes", context.len());
    assert!(!context.chars().any(|c| c.is_control() && c != '\n'), "{context:?}");
}

/// A back-reference of the v0 mangling.
fn back_to(position: usize) -> String {
    let digit = |n: usize| char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[n % 62]);
    match position - 1 {
        small @ 0..62 => format!("B{}_", digit(small)),
        large => format!("B{}{}_", digit(large / 62), digit(large)),
    }
}

#[test]
fn what_a_module_asks_for_is_refused_before_it_starts() {
    let runtime = Runtime::new(None, HOOKS);
    let refused = |text: &str| start(&runtime, text, "{}").map(|_| ()).unwrap_err();
    let tables = format!(r#"(module (func (export "lagoon_abi_1")) {})"#, "(table 1 funcref)".repeat(17));
    assert_eq!(refused(&tables).sqlstate(), "54000");
    let import =
        format!(r#"(module (import "lagoon" "{}\n" (func)) (func (export "lagoon_abi_1")))"#, "x".repeat(50_000));
    let error = refused(&import);
    assert_eq!(error.sqlstate(), "42883");
    assert!(error.to_string().len() < 1000 && !error.to_string().contains('\n'));
}

#[test]
fn an_error_of_a_start_function_is_one_of_the_start() {
    let runtime = Runtime::new(None, HOOKS);
    let text = r#"(module (import "lagoon" "error" (func $e (param i32 i32))) (memory (export "memory") 1)
        (data (i32.const 16) "LG422bad start") (func $s (call $e (i32.const 16) (i32.const 14))) (start $s)
        (func (export "lagoon_abi_1")))"#;
    let Err(Error::Guest { error, .. }) = start(&runtime, text, "{}") else { panic!("it started") };
    assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("LG422", "bad start"));
}
