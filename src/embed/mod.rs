//! Text to vectors in SQL: `lagoon.register_model`, `lagoon.embed`, `lagoon.models`.

mod catalog;
mod engine;
mod error;
mod memo;

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use lagoon_embed::{Error, Registered, Settings, TextEncoder, runtime};
use pgrx::pg_schema;
use pgrx::prelude::*;

use crate::pg::error::OrRaise;
use crate::pg::transaction::must_write;
use crate::pg::vector::{Vector, VectorError};
use crate::pg::{exit, guc, log};

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
    Settings {
        library: PathBuf::from(guc::text(&guc::ONNXRUNTIME_LIBRARY)),
        threads: usize::try_from(guc::EMBED_THREADS.get()).unwrap_or(1),
    }
}

/// Vectors of texts, in their order.
fn embed(model: Registered, texts: Vec<String>) -> Result<Vec<Vec<f32>>, Error> {
    let settings = settings();
    engine::call(move |models, cancel| models.get(&model, &settings)?.encode(&texts, cancel))
}

fn embed_one(model: &str, text: &str) -> Result<Vec<f32>, Error> {
    let model = catalog::find(model)?;
    let (name, fingerprint) = (model.name.clone(), model.fingerprint.clone());
    if let Some(vector) = memo::find(&name, &fingerprint, text) {
        return Ok(vector);
    }
    let vector = embed(model, vec![text.to_owned()])?.pop().unwrap_or_default();
    memo::keep(&name, &fingerprint, text, &vector);
    Ok(vector)
}

/// NULL elements stay NULL; an error counts positions as the caller does.
fn embed_many(model: &str, texts: Vec<Option<String>>) -> Result<Vec<Option<Vec<f32>>>, Error> {
    let model = catalog::find(model)?;
    let positions: Vec<usize> = (1..).zip(&texts).filter_map(|(i, text)| text.is_some().then_some(i)).collect();
    let mut results = vec![None; texts.len()];
    let present: Vec<String> = texts.into_iter().flatten().collect();
    if present.is_empty() {
        return Ok(results);
    }
    let vectors = embed(model, present).map_err(|error| match error {
        Error::EmptyText { position } => {
            Error::EmptyText { position: positions.get(position.unwrap_or(1) - 1).copied() }
        }
        other => other,
    })?;
    positions.into_iter().zip(vectors).for_each(|(position, vector)| results[position - 1] = Some(vector));
    Ok(results)
}

fn vector(values: Vec<f32>) -> Result<Vector, VectorError> {
    Vector::new(values)
}

/// Checks and loads the model, and saves what was found. The number of dimensions.
fn register(name: &str, directory: &str) -> Result<i32, Error> {
    if name.is_empty() || name.len() > 63 || name.chars().any(char::is_control) {
        return Err(Error::InvalidName(name.to_owned()));
    }
    let (owned, directory, settings) = (name.to_owned(), PathBuf::from(directory), settings());
    let row = engine::call(move |models, _| {
        let (registered, model) = models.register(&owned, &directory, &settings)?;
        let spec = model.spec();
        Ok(catalog::Row {
            registered,
            dimension: i32::try_from(model.dimension()).unwrap_or(i32::MAX),
            max_tokens: i32::try_from(spec.max_tokens).unwrap_or(i32::MAX),
            pooling: spec.pooling.name(),
            normalize: spec.normalize,
            prompts: spec.prompts_json(),
            default_prompt: spec.default_prompt.clone(),
            size: i64::try_from(spec.size()?).unwrap_or(i64::MAX),
        })
    })?;
    if let Some(before) = catalog::dimension(name)?
        && before != row.dimension
    {
        log::warning(format!("model \"{name}\" had {before} dimensions and now has {}", row.dimension));
    }
    catalog::save(&row)?;
    Ok(row.dimension)
}

fn drop_one(name: &str) -> Result<(), Error> {
    if catalog::delete(name)? { Ok(()) } else { Err(Error::UnknownModel(name.to_owned())) }
}

struct Loaded {
    library: String,
    version: String,
    build: String,
}

/// What the loaded library is; loads nothing.
fn loaded() -> Result<Option<Loaded>, Error> {
    if engine::statistics().is_none() {
        return Ok(None);
    }
    engine::call(|models, _| {
        Ok(models.loaded_runtime().map(|runtime| Loaded {
            library: runtime.library().display().to_string(),
            version: runtime.version().to_owned(),
            build: runtime.build_info().to_owned(),
        }))
    })
}

#[pg_schema]
mod lagoon {
    use super::*;

    /// The vector of one text. STABLE: the model may be registered anew. PARALLEL RESTRICTED: a parallel worker would load
    /// the model once more. The cost makes the planner call it as late and as seldom as it can.
    #[pg_extern(name = "embed", stable, strict, parallel_restricted, cost = 100000)]
    fn embed_text(model: &str, input: &str) -> Vector {
        vector(embed_one(model, input).or_raise()).or_raise()
    }

    /// The vectors of many texts, inferred in batches: much faster than one by one.
    #[pg_extern(name = "embed", stable, strict, parallel_restricted, cost = 1000000)]
    fn embed_texts(model: &str, inputs: Vec<Option<String>>) -> Vec<Option<Vector>> {
        let vectors = embed_many(model, inputs).or_raise().into_iter();
        vectors.map(|values| values.map(vector).transpose().or_raise()).collect()
    }

    /// Registers or replaces a model from a directory of the server. Returns its number of dimensions.
    #[pg_extern(volatile, strict, parallel_unsafe, security_definer)]
    #[search_path(pg_catalog, pg_temp)]
    fn register_model(name: &str, directory: &str) -> i32 {
        must_write(c"lagoon.register_model()");
        register(name, directory).or_raise()
    }

    /// Forgets a model. Its files stay.
    #[pg_extern(volatile, strict, parallel_unsafe, security_definer)]
    #[search_path(pg_catalog, pg_temp)]
    fn drop_model(name: &str) {
        must_write(c"lagoon.drop_model()");
        drop_one(name).or_raise();
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
        let loaded = loaded().or_raise();
        let statistics = engine::statistics().unwrap_or_default();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as i64;
        TableIterator::once((
            loaded.as_ref().map_or_else(|| guc::text(&guc::ONNXRUNTIME_LIBRARY), |loaded| loaded.library.clone()),
            loaded.is_some(),
            loaded.as_ref().map(|loaded| loaded.version.clone()),
            loaded.map(|loaded| loaded.build),
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
