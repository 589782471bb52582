//! Text to vectors in SQL: `lagoon.register_model`, `lagoon.embed`, `lagoon.models`.

mod catalog;
mod engine;
mod error;
mod memo;
mod owner;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use lagoon_embed::request::{Description, Embedded, FULL_BYTES, Library, MOST_TEXTS};
use lagoon_embed::{Error, Registered, Reply, Request, Settings, is_blank, runtime};
use pgrx::pg_schema;
use pgrx::prelude::*;

use crate::pg::datum::vector::{MAX_DIMENSIONS, Vector, VectorArray, VectorError};
use crate::pg::error::OrRaise;
use crate::pg::text::{Utf8, is_utf8};
use crate::pg::transaction::must_write;
use crate::pg::{exit, guc, interrupt, log, process, role};

/// Number of elements of an array between two checks for interrupts.
const STRIDE: usize = 1 << 12;

pgrx::extension_sql_file!(
    "../../sql/embed.sql",
    name = "embed",
    requires =
        [lagoon::embed_text, lagoon::embed_texts, lagoon::register_model, lagoon::drop_model, lagoon::embed_status]
);

/// Called from `_PG_init`. ONNX Runtime is loaded by the first call, never in the postmaster.
pub fn init() {
    exit::set_environment(c"ORT_DISABLE_TELEMETRY", c"1");
}

fn settings() -> Settings {
    Settings { library: library_path(), threads: usize::try_from(guc::EMBED_THREADS.get()).unwrap_or(1) }
}

/// The library of the setting, else the one that a package has installed beside ours; empty if there is none.
fn library_path() -> PathBuf {
    let configured = PathBuf::from(guc::text(&guc::ONNXRUNTIME_LIBRARY));
    let packaged = process::library_directory().join("libonnxruntime.so");
    if configured.as_os_str().is_empty() && packaged.exists() { packaged } else { configured }
}

fn embed(model: &Registered, texts: Vec<String>) -> Result<Embedded, Error> {
    match engine::run(Request::Embed { model: model.clone(), texts, settings: settings() })? {
        Reply::Embedded(embedded) => Ok(embedded),
        _ => Err(mixed_up()),
    }
}

fn describe(name: &str, directory: &str) -> Result<Description, Error> {
    let (name, directory) = (name.to_owned(), PathBuf::from(directory));
    match engine::run(Request::Describe { name, directory, settings: settings() })? {
        Reply::Described(description) => Ok(*description),
        _ => Err(mixed_up()),
    }
}

/// The loaded library, without loading it.
fn library() -> Result<Option<Library>, Error> {
    if engine::statistics().is_none() {
        return Ok(None);
    }
    match engine::run(Request::Library)? {
        Reply::Library(library) => Ok(library),
        _ => Err(mixed_up()),
    }
}

fn mixed_up() -> Error {
    Error::Panicked("it answered another request".to_owned())
}

fn embed_one(model: &str, text: &str) -> Result<Vec<f32>, Error> {
    let (model, _) = find(model)?;
    if let Some(vector) = memo::find(&model.name, &model.fingerprint, text) {
        return Ok(vector);
    }
    let Embedded { mut vectors, watch } = embed(&model, vec![copy(text)?])?;
    let vector = vectors.pop().unwrap_or_default();
    memo::keep(&model.name, &model.fingerprint, text, &vector, watch);
    Ok(vector)
}

/// NULL elements stay NULL. Errors give the position in the caller's array. Only the texts of one request are copied at a time.
fn embed_many(model: &str, texts: &Array<'_, Utf8<'_>>) -> Result<VectorArray, Error> {
    let (model, dimension) = find(model)?;
    let present = present(texts)?;
    let count = present.iter().filter(|is_present| **is_present).count();
    let mut result = VectorArray::new(&present, dimension).ok_or(Error::TooManyVectors { count, dimension })?;
    let (mut piece, mut positions, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (text, position) in texts.iter().zip(1..) {
        if let Some(text) = text {
            bytes += text.len();
            piece.push(copy(&text)?);
            positions.push(position);
        }
        if piece.len() == MOST_TEXTS || bytes >= FULL_BYTES || (position == present.len() && !piece.is_empty()) {
            bytes = 0;
            embed_piece(&model, std::mem::take(&mut piece), &positions, &mut result)?;
            positions.clear();
        }
        if position % STRIDE == 0 {
            interrupt::check();
        }
    }
    Ok(result)
}

fn embed_piece(
    model: &Registered,
    piece: Vec<String>,
    positions: &[usize],
    result: &mut VectorArray,
) -> Result<(), Error> {
    let Embedded { vectors, .. } = embed(model, piece).map_err(|error| match error {
        Error::EmptyText { position } => {
            Error::EmptyText { position: positions.get(position.unwrap_or(1) - 1).copied() }
        }
        other => other,
    })?;
    for vector in vectors {
        if !result.push(&vector) {
            return Err(Error::ModelChanged(model.name.clone())); // the catalog has another dimension
        }
    }
    Ok(())
}

/// Which elements are not NULL. An empty text is an error here, before any text is inferred.
fn present(texts: &Array<'_, Utf8<'_>>) -> Result<Vec<bool>, Error> {
    let mut present = Vec::new();
    present.try_reserve_exact(texts.len()).map_err(|_| Error::Memory(texts.len() as u64))?;
    for (text, position) in texts.iter().zip(1..) {
        if position % STRIDE == 0 {
            interrupt::check();
        }
        if text.as_ref().is_some_and(|text| is_blank(text)) {
            return Err(Error::EmptyText { position: Some(position) });
        }
        present.push(text.is_some());
    }
    Ok(present)
}

/// A copy for the engine's thread, allocated fallibly because a text can have a gigabyte.
fn copy(text: &str) -> Result<String, Error> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| Error::Memory(text.len() as u64))?;
    copy.push_str(text);
    Ok(copy)
}

fn vector(values: Vec<f32>) -> Result<Vector, VectorError> {
    Vector::new(values)
}

/// The model of that name and its dimension.
fn find(name: &str) -> Result<(Registered, usize), Error> {
    if is_name(name) { catalog::find(name) } else { Err(Error::UnknownModel(short(name))) }
}

/// Whether a model can have this name. In a database that is not UTF-8 only ASCII is allowed.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && !name.chars().any(char::is_control) && (is_utf8() || name.is_ascii())
}

/// The first characters of a name for a message: it may have megabytes.
fn short(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// Checks and loads the model, and saves its description. Returns the number of dimensions.
fn register(name: &str, directory: &str) -> Result<i32, Error> {
    if !is_name(name) {
        return Err(Error::InvalidName(short(name)));
    }
    owner::check_reader()?;
    let existing = catalog::existing(name)?;
    existing.as_ref().map_or(Ok(()), |existing| owner::check_owner(name, existing))?;
    if directory.len() >= 1024 {
        return Err(Error::DirectoryMissing(short(directory).into()));
    }
    let model = describe(name, directory)?;
    let dimension = model.dimension;
    let Some(answer) = i32::try_from(dimension).ok().filter(|_| (1..=MAX_DIMENSIONS).contains(&dimension)) else {
        return Err(Error::TooWide { name: name.to_owned(), dimension, limit: MAX_DIMENSIONS });
    };
    let before = existing.as_ref().map_or(dimension, |existing| existing.dimension);
    let owner = existing.map_or_else(role::current_name, |existing| existing.owner);
    if !catalog::save(&model, &owner)? {
        return Err(Error::NotOwner(name.to_owned()));
    }
    if before != dimension {
        log::warning(format!("model \"{name}\" had {before} dimensions and now has {dimension}"));
    }
    Ok(answer)
}

fn drop_one(name: &str) -> Result<(), Error> {
    let unknown = || Error::UnknownModel(short(name));
    let existing = if is_name(name) { catalog::existing(name)? } else { None }.ok_or_else(unknown)?;
    owner::check_owner(name, &existing)?;
    if catalog::delete(name, &existing.owner)? { Ok(()) } else { Err(unknown()) }
}

#[pg_schema]
mod lagoon {
    use super::*;

    /// The vector of one text. STABLE, because the model may be registered anew. PARALLEL RESTRICTED, because each parallel
    /// worker would load the model. The cost makes the planner call it as late and as rarely as it can.
    #[pg_extern(name = "embed", stable, strict, parallel_restricted, cost = 100000)]
    fn embed_text(model: Utf8<'_>, input: Utf8<'_>) -> Vector {
        vector(embed_one(&model, &input).or_raise()).or_raise()
    }

    /// The vectors of many texts, inferred in batches: much faster than one by one.
    #[pg_extern(name = "embed", stable, strict, parallel_restricted, cost = 1000000)]
    fn embed_texts(model: Utf8<'_>, inputs: Array<'_, Utf8<'_>>) -> VectorArray {
        embed_many(&model, &inputs).or_raise()
    }

    /// Registers or replaces a model from a directory of the server. Returns its number of dimensions.
    #[pg_extern(volatile, strict, parallel_unsafe)]
    #[search_path(pg_catalog, pg_temp)]
    fn register_model(name: Utf8<'_>, directory: Utf8<'_>) -> i32 {
        must_write(c"lagoon.register_model()");
        register(&name, &directory).or_raise()
    }

    /// Drops a model's registration. Its files stay.
    #[pg_extern(volatile, strict, parallel_unsafe)]
    #[search_path(pg_catalog, pg_temp)]
    fn drop_model(name: Utf8<'_>) {
        must_write(c"lagoon.drop_model()");
        drop_one(&name).or_raise();
    }

    /// The engine of this session: library, whether it is loaded, and counters.
    #[pg_extern(volatile, parallel_restricted)]
    #[allow(clippy::type_complexity)]
    fn embed_status() -> TableIterator<
        'static,
        (
            name!(library, String),
            name!(loaded, bool),
            name!(version, Option<String>),
            name!(build, Option<String>),
            name!(minimum_version, String),
            name!(threads, i32),
            name!(models_loaded, i64),
            name!(texts, i64),
            name!(tokens, i64),
            name!(batches, i64),
            name!(inference_ms, f64),
        ),
    > {
        let library = library().or_raise();
        let statistics = engine::statistics().unwrap_or_default();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as i64;
        TableIterator::once((
            library.as_ref().map_or_else(|| settings().library.display().to_string(), |l| l.path.display().to_string()),
            library.is_some(),
            library.as_ref().map(|library| library.version.clone()),
            library.map(|library| library.build),
            format!("1.{}", runtime::API_LEVEL),
            guc::EMBED_THREADS.get(),
            count(&statistics.models_loaded),
            count(&statistics.texts),
            count(&statistics.tokens),
            count(&statistics.batches),
            count(&statistics.inference_micros) as f64 / 1000.0,
        ))
    }
}
