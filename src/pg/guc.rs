//! Every setting of the extension, in one place. docs/operations/settings.md lists the same ones; a test compares the two.

use std::ffi::{CStr, CString};

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, pg_sys};

/// `hnsw.ef_search`: size of the dynamic candidate list of an index scan.
pub static EF_SEARCH: GucSetting<i32> = GucSetting::<i32>::new(40);
/// `lagoon.vector_hints`: whether errors of the vector types have hints where pgvector has none.
pub static VECTOR_HINTS: GucSetting<bool> = GucSetting::<bool>::new(true);
/// `lagoon.hnsw_page_scan`: whether hnsw scans search whole pages when shared buffers are too small for the index.
pub static HNSW_PAGE_SCAN: GucSetting<bool> = GucSetting::<bool>::new(true);
/// `lagoon.pin_hints`: whether a session remembers in which buffers it saw the pages of vector indexes. For developers.
pub static PIN_HINTS: GucSetting<bool> = GucSetting::<bool>::new(true);
/// `hnsw.iterative_scan`: whether a scan continues beyond its candidate list.
pub static ITERATIVE_SCAN: GucSetting<IterativeScan> = GucSetting::<IterativeScan>::new(IterativeScan::Off);
/// `hnsw.max_scan_tuples`: approximate maximum number of tuples that an iterative scan visits.
pub static MAX_SCAN_TUPLES: GucSetting<i32> = GucSetting::<i32>::new(20_000);
/// `hnsw.scan_mem_multiplier`: maximum memory of an iterative scan, as a multiple of work_mem.
pub static SCAN_MEM_MULTIPLIER: GucSetting<f64> = GucSetting::<f64>::new(1.0);
/// `ivfflat.probes`: number of lists that an index scan reads.
pub static PROBES: GucSetting<i32> = GucSetting::<i32>::new(1);
/// `ivfflat.iterative_scan`: whether a scan continues with further lists.
pub static IVFFLAT_ITERATIVE_SCAN: GucSetting<IvfflatIterativeScan> =
    GucSetting::<IvfflatIterativeScan>::new(IvfflatIterativeScan::Off);
/// `ivfflat.max_probes`: maximum number of lists that an iterative scan reads.
pub static MAX_PROBES: GucSetting<i32> = GucSetting::<i32>::new(32_768);
/// `lagoon.parallelism`: threads that read Parquet files for one statement.
pub static PARALLELISM: GucSetting<i32> = GucSetting::<i32>::new(2);
/// `lagoon.memory_limit`: megabytes that the queries of one session use in the Parquet engine, at most.
pub static MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(1024);
/// `lagoon.total_memory_limit`: megabytes that the queries of all sessions use in the Parquet engine, at most; 0 is no limit.
pub static TOTAL_MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(0);
/// `lagoon.pushdown`: what the engine does of statements that read Parquet files.
pub static PUSHDOWN: GucSetting<Pushdown> = GucSetting::<Pushdown>::new(Pushdown::Scan);
/// `lagoon.ship_rows`: rows that a table or query beside Parquet files may have, as estimated, to be sent to the engine.
pub static SHIP_ROWS: GucSetting<i32> = GucSetting::<i32>::new(100_000);
/// `lagoon.data_directories`: comma-separated directories that roles without pg_read_server_files may read.
pub static DATA_DIRECTORIES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// `lagoon.dataset_directory`: where the files of datasets are; empty means `lagoon/datasets` in the data directory.
pub static DATASET_DIRECTORY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// `lagoon.onnxruntime_library`: absolute path of libonnxruntime.so; empty means the one in PostgreSQL's library directory.
pub static ONNXRUNTIME_LIBRARY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// `lagoon.embed_threads`: threads of one inference.
pub static EMBED_THREADS: GucSetting<i32> = GucSetting::<i32>::new(1);
/// `lagoon.wasm_memory_limit`: maximum memory of one instance, in MB.
pub static WASM_MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(256);
/// `lagoon.wasm_time_limit`: maximum time of one call, in milliseconds.
pub static WASM_TIME_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(30_000);
/// `lagoon.wasm_session_memory_limit`: maximum memory of all instances of a session, in MB.
pub static WASM_SESSION_MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(256);
/// `lagoon.wasm_compile_memory_limit`: maximum memory of one compilation, in MB.
pub static WASM_COMPILE_MEMORY_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(512);
/// `lagoon.wasm_compile_time_limit`: maximum time of one compilation, in milliseconds.
pub static WASM_COMPILE_TIME_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(30_000);
/// `lagoon.functions_directory`: the directory that the launcher watches; empty means none.
pub static FUNCTIONS_DIRECTORY: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(Some(c""));
/// `lagoon.worker_restart_interval`: seconds before a failed worker is started again.
pub static WORKER_RESTART_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(5);

/// Values of `ivfflat.iterative_scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, pgrx::PostgresGucEnum)]
#[allow(missing_docs)]
pub enum IvfflatIterativeScan {
    #[name = c"off"]
    Off,
    #[name = c"relaxed_order"]
    RelaxedOrder,
}

/// Values of `hnsw.iterative_scan`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, pgrx::PostgresGucEnum)]
#[allow(missing_docs)]
pub enum IterativeScan {
    #[name = c"off"]
    Off,
    #[name = c"relaxed_order"]
    RelaxedOrder,
    #[name = c"strict_order"]
    StrictOrder,
}

/// Values of `lagoon.pushdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, pgrx::PostgresGucEnum)]
pub enum Pushdown {
    /// It reads columns.
    #[name = c"off"]
    Off,
    /// It reads columns, filters rows and stops at a limit.
    #[name = c"scan"]
    Scan,
    /// It answers whole statements where it can.
    #[name = c"full"]
    Full,
    /// What `scan` was called when there was no more.
    #[name = c"on"]
    #[hidden = true]
    On,
}

/// The value of a string setting, empty when unset.
pub fn text(setting: &GucSetting<Option<CString>>) -> String {
    setting.get().map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Registers all settings and reserves their prefixes.
pub fn init() {
    use GucContext::{Sighup, Suset, Userset};
    int(
        c"hnsw.ef_search",
        c"Size of the dynamic candidate list of an hnsw index scan; larger is slower and finds more.",
        &EF_SEARCH,
        1,
        1000,
        Userset,
        GucFlags::default(),
    );
    boolean(c"lagoon.vector_hints", c"Add hints to errors for which pgvector has none.", &VECTOR_HINTS, Userset);
    boolean(
        c"lagoon.hnsw_page_scan",
        c"Search whole pages in hnsw index scans while shared buffers are too small for the index.",
        &HNSW_PAGE_SCAN,
        Userset,
    );
    boolean(
        c"lagoon.pin_hints",
        c"Remember in which shared buffers a session saw the pages of vector indexes.",
        &PIN_HINTS,
        Userset,
    );
    GucRegistry::define_enum_guc(
        c"hnsw.iterative_scan",
        c"Whether an hnsw index scan continues beyond its candidate list while more rows are needed.",
        c"",
        &ITERATIVE_SCAN,
        Userset,
        GucFlags::default(),
    );
    int(
        c"hnsw.max_scan_tuples",
        c"Approximate maximum number of tuples that an iterative hnsw index scan visits.",
        &MAX_SCAN_TUPLES,
        1,
        i32::MAX,
        Userset,
        GucFlags::default(),
    );
    GucRegistry::define_float_guc(
        c"hnsw.scan_mem_multiplier",
        c"Maximum memory of an iterative hnsw index scan, as a multiple of work_mem.",
        c"",
        &SCAN_MEM_MULTIPLIER,
        1.0,
        1000.0,
        Userset,
        GucFlags::default(),
    );
    int(
        c"lagoon.parallelism",
        c"Number of threads that read Parquet files for one statement.",
        &PARALLELISM,
        1,
        64,
        Userset,
        GucFlags::default(),
    );
    int(
        c"lagoon.memory_limit",
        c"Maximum memory that the queries of a session use in the Parquet engine.",
        &MEMORY_LIMIT,
        64,
        1_048_576,
        Userset,
        GucFlags::UNIT_MB,
    );
    int(
        c"lagoon.total_memory_limit",
        c"Maximum memory that the queries of all sessions use in the Parquet engine; 0 is no limit.",
        &TOTAL_MEMORY_LIMIT,
        0,
        1 << 24,
        Sighup,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_enum_guc(
        c"lagoon.pushdown",
        c"What is computed by the Parquet engine: nothing, filters and limits of scans, or whole statements.",
        c"",
        &PUSHDOWN,
        Userset,
        GucFlags::default(),
    );
    int(
        c"lagoon.ship_rows",
        c"Number of rows, as estimated, up to which other tables of a statement are sent to the Parquet engine; 0 is none.",
        &SHIP_ROWS,
        0,
        10_000_000,
        Userset,
        GucFlags::default(),
    );
    string(
        c"lagoon.data_directories",
        c"Comma-separated list of directories that roles without pg_read_server_files may read.",
        &DATA_DIRECTORIES,
        Suset,
    );
    string(
        c"lagoon.dataset_directory",
        c"Directory of the files of datasets, the same for all sessions; if empty, lagoon/datasets in the data directory.",
        &DATASET_DIRECTORY,
        Suset,
    );
    string(
        c"lagoon.onnxruntime_library",
        c"Absolute path of the ONNX Runtime library; if empty, libonnxruntime.so in PostgreSQL's library directory.",
        &ONNXRUNTIME_LIBRARY,
        Suset,
    );
    int(
        c"lagoon.embed_threads",
        c"Number of threads of one inference.",
        &EMBED_THREADS,
        1,
        64,
        Suset,
        GucFlags::default(),
    );
    int(
        c"lagoon.wasm_memory_limit",
        c"Maximum memory of one instance of a WebAssembly plugin.",
        &WASM_MEMORY_LIMIT,
        1,
        4096,
        Suset,
        GucFlags::UNIT_MB,
    );
    int(
        c"lagoon.wasm_time_limit",
        c"Maximum time of one call of a WebAssembly function.",
        &WASM_TIME_LIMIT,
        1,
        86_400_000,
        Suset,
        GucFlags::UNIT_MS,
    );
    int(
        c"lagoon.wasm_session_memory_limit",
        c"Maximum memory of all WebAssembly instances of a session.",
        &WASM_SESSION_MEMORY_LIMIT,
        1,
        1 << 20,
        Suset,
        GucFlags::UNIT_MB,
    );
    int(
        c"lagoon.wasm_compile_memory_limit",
        c"Maximum memory that compiling a WebAssembly module uses.",
        &WASM_COMPILE_MEMORY_LIMIT,
        16,
        1 << 20,
        Suset,
        GucFlags::UNIT_MB,
    );
    int(
        c"lagoon.wasm_compile_time_limit",
        c"Maximum time that compiling a WebAssembly module takes.",
        &WASM_COMPILE_TIME_LIMIT,
        1,
        86_400_000,
        Suset,
        GucFlags::UNIT_MS,
    );
    string(
        c"lagoon.functions_directory",
        c"Directory of WebAssembly plugins that the launcher watches; if empty, none.",
        &FUNCTIONS_DIRECTORY,
        Sighup,
    );
    int(
        c"lagoon.worker_restart_interval",
        c"Time to wait before a failed worker is started again.",
        &WORKER_RESTART_INTERVAL,
        1,
        3600,
        Sighup,
        GucFlags::UNIT_S,
    );
    int(
        c"ivfflat.probes",
        c"Number of lists that an ivfflat index scan reads; more is slower and finds more.",
        &PROBES,
        1,
        32_768,
        Userset,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"ivfflat.iterative_scan",
        c"Whether an ivfflat index scan continues with further lists while more rows are needed.",
        c"",
        &IVFFLAT_ITERATIVE_SCAN,
        Userset,
        GucFlags::default(),
    );
    int(
        c"ivfflat.max_probes",
        c"Maximum number of lists that an iterative ivfflat index scan reads; at least ivfflat.probes are read.",
        &MAX_PROBES,
        1,
        32_768,
        Userset,
        GucFlags::default(),
    );
    for prefix in [c"lagoon", c"hnsw", c"ivfflat"] {
        // SAFETY: called from _PG_init with a NUL-terminated name, after all settings of the prefix are defined.
        unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
    }
}

fn int(
    name: &'static CStr,
    about: &'static CStr,
    setting: &'static GucSetting<i32>,
    min: i32,
    max: i32,
    context: GucContext,
    flags: GucFlags,
) {
    GucRegistry::define_int_guc(name, about, c"", setting, min, max, context, flags);
}

fn boolean(name: &'static CStr, about: &'static CStr, setting: &'static GucSetting<bool>, context: GucContext) {
    GucRegistry::define_bool_guc(name, about, c"", setting, context, GucFlags::default());
}

fn string(
    name: &'static CStr,
    about: &'static CStr,
    setting: &'static GucSetting<Option<CString>>,
    context: GucContext,
) {
    GucRegistry::define_string_guc(name, about, c"", setting, context, GucFlags::default());
}
