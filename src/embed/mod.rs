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

/// Elements of an array between two looks for interrupts.
const STRIDE: usize = 1 << 12;

pgrx::extension_sql_file!(
    "../../sql/embed.sql",
    name = "embed",
    requires =
        [lagoon::embed_text, lagoon::embed_texts, lagoon::register_model, lagoon::drop_model, lagoon::embed_status]
);

/// Called from `_PG_init`. Loads nothing: ONNX Runtime comes with the first call, and never into the postmaster.
pub fn init() {
    exit::set_environment(c"ORT_DISABLE_TELEMETRY", c"1");
}

fn settings() -> Settings {
    Settings { library: library_path(), threads: usize::try_from(guc::EMBED_THREADS.get()).unwrap_or(1) }
}

/// The setting, or else the library that a package has put beside ours; empty if there is none.
fn library_path() -> PathBuf {
    let configured = PathBuf::from(guc::text(&guc::ONNXRUNTIME_LIBRARY));
    let packaged = process::library_directory().join("libonnxruntime.so");
    if configured.as_os_str().is_empty() && packaged.exists() { packaged } else { configured }
}

fn embed(model: &Registered, texts: Vec<String>) -> Result<Embedded, Error> {
    match engine::ask(Request::Embed { model: model.clone(), texts, settings: settings() })? {
        Reply::Embedded(embedded) => Ok(embedded),
        _ => Err(mixed_up()),
    }
}

fn describe(name: &str, directory: &str) -> Result<Description, Error> {
    let (name, directory) = (name.to_owned(), PathBuf::from(directory));
    match engine::ask(Request::Describe { name, directory, settings: settings() })? {
        Reply::Described(description) => Ok(*description),
        _ => Err(mixed_up()),
    }
}

/// What the loaded library is; loads nothing.
fn library() -> Result<Option<Library>, Error> {
    if engine::statistics().is_none() {
        return Ok(None);
    }
    match engine::ask(Request::Library)? {
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

/// NULL elements stay NULL; an error counts positions as the caller does. The array is as large as its vectors, and only the
/// texts of one request are copied at a time.
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
            return Err(Error::ModelChanged(model.name.clone())); // the catalog says another dimension
        }
    }
    Ok(())
}

/// Which elements are not NULL. An empty text is refused here, before the first of them is inferred.
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

/// A copy for the engine's thread. A text can have a gigabyte.
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

/// What a model can be called. PostgreSQL compares names in its own encoding.
fn is_name(name: &str) -> bool {
    (1..=63).contains(&name.len()) && !name.chars().any(char::is_control) && (is_utf8() || name.is_ascii())
}

/// The beginning of what may be a megabyte.
fn short(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// Checks and loads the model, and saves what was found. The number of dimensions.
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

    /// The vector of one text. STABLE: the model may be registered anew. PARALLEL RESTRICTED: a parallel worker would load
    /// the model once more. The cost makes the planner call it as late and as seldom as it can.
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

    /// Forgets a model. Its files stay.
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
