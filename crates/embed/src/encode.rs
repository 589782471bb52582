//! A model that runs: tokens in, pooled and normalised vectors out.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ort::ep::CPU;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType, ValueType};

use crate::layout::Spec;
use crate::models::Statistics;
use crate::pooling::normalize;
use crate::runtime::Runtime;
use crate::tokenize::{TextTokenizer, Tokens};
use crate::{Cancel, Error, ModelFiles, TextEncoder};

/// Maximum number of tokens of a run, padding included. A few hundred give the full gain of batching on a CPU: with more,
/// activations do not fit into the cache (measured on all-MiniLM-L6-v2: 281 texts a CPU second at 512, 250 at 2048, 185 at
/// 4096), and a cancel takes effect later.
pub const BATCH_TOKENS: usize = 512;

/// Number of texts that are tokenised before the first of them is inferred, so that texts of similar length can share a run.
const GROUP: usize = 1024;

/// Two texts of different lengths, for a trial batch.
const PROBES: [&str; 2] = ["a", "1 2 3 a b c"];
/// Maximum relative difference of a text's vector alone and in a batch. Rounding gives less than a millionth.
const BATCH_TOLERANCE: f32 = 1e-3;

/// A loaded model.
pub struct Model {
    name: String,
    spec: Spec,
    tokenizer: TextTokenizer,
    session: Session,
    inputs: Vec<Input>,
    output: Output,
    dimension: usize,
    pad_id: i64,
    is_batched: bool,
    statistics: Arc<Statistics>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Ids,
    Mask,
    Types,
    Positions,
}

impl Input {
    fn name(self) -> &'static str {
        match self {
            Self::Ids => "input_ids",
            Self::Mask => "attention_mask",
            Self::Types => "token_type_ids",
            Self::Positions => "position_ids",
        }
    }
}

struct Output {
    name: String,
    /// Whether the graph does the pooling.
    is_pooled: bool,
}

impl Model {
    /// Loads a model from its files, with `threads` threads for each run. A few trial runs find its dimension, and whether texts
    /// in a batch change each other's vectors. New threads inherit the signal mask of the caller.
    pub fn load(
        name: &str,
        files: ModelFiles,
        runtime: &Runtime,
        threads: usize,
        statistics: Arc<Statistics>,
        cancel: &Cancel,
    ) -> Result<Self, Error> {
        let ModelFiles { spec, tokenizer, graph, weights, is_dynamic, .. } = files;
        let tokenizer = {
            let file = tokenizer; // freed at the end of this block
            TextTokenizer::load(&spec, &file)?
        };
        cancel.check()?;
        let session = open(runtime, &graph, weights, threads);
        drop(graph);
        let session = session.map_err(|error| Error::invalid(&spec.graph, reason(&error)))?;
        let inputs = inputs(&session, &spec.graph)?;
        let output = output(&session, &spec.graph)?;
        let pad = spec.pad_id.or_else(|| spec.pad_token.as_ref().and_then(|token| tokenizer.id(token)));
        let pad_id = i64::from(pad.unwrap_or(0));
        let (name, is_batched) = (name.to_owned(), !is_dynamic);
        let mut model =
            Self { name, spec, tokenizer, session, inputs, output, dimension: 0, pad_id, is_batched, statistics };
        model.probe(cancel)?;
        model.check_width()?;
        Ok(model)
    }

    /// Finds the dimension, and whether a text has the same vector in a batch as alone. It has not if the graph quantises
    /// its whole input with one scale, or takes only one text at a time.
    fn probe(&mut self, cancel: &Cancel) -> Result<(), Error> {
        let [one, other] = PROBES.map(|text| self.tokenizer.encode(text, cancel));
        let (one, other) = (one.or_else(|_| self.tokenizer.encode("1", cancel))?, other);
        let alone = self.run(&[&one], cancel)?.pop().unwrap_or_default();
        self.dimension = alone.len();
        if let (true, Ok(other)) = (self.is_batched, other) {
            let together = self.run(&[&one, &other], cancel);
            cancel.check()?;
            self.is_batched = together.is_ok_and(|vectors| vectors.first().is_some_and(|v| is_close(v, &alone)));
        }
        Ok(())
    }

    /// Whether several texts are inferred in one run. If not, texts in a batch would change each other's vectors.
    pub fn is_batched(&self) -> bool {
        self.is_batched
    }

    /// The settings of the model's files.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    fn check_width(&self) -> Result<(), Error> {
        let modes = if self.output.is_pooled { 1 } else { self.spec.pooling.count() };
        match self.spec.width {
            Some(width) if width.saturating_mul(modes) != self.dimension => {
                let actual = self.dimension / modes;
                let reason = format!("its vectors have {actual} elements, but the model's settings say {width}");
                Err(Error::invalid(&self.spec.graph, reason))
            }
            _ => Ok(()),
        }
    }

    /// One run: pads, infers, pools, normalises.
    fn run(&mut self, batch: &[&Tokens], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error> {
        let length = batch.iter().map(|tokens| tokens.ids.len()).max().unwrap_or(0);
        let padded = Padded::new(batch, length, self.pad_id, self.spec.pad_left);
        let mut feeds: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            let values = match input {
                Input::Ids => padded.ids.clone(),
                Input::Mask => padded.mask.clone(),
                Input::Types => padded.types.clone(),
                Input::Positions => padded.positions(),
            };
            let tensor =
                Tensor::from_array(([batch.len(), length], values)).map_err(|error| failed(&self.name, &error))?;
            feeds.push((input.name(), tensor.into()));
        }
        let options = Arc::new(RunOptions::new().map_err(|error| failed(&self.name, &error))?);
        let (session, name) = (&mut self.session, self.name.as_str());
        let armed = cancel.arm(options.clone())?;
        let outputs = session.run_with_options(feeds, &options);
        drop(armed);
        let outputs = outputs.map_err(|error| if cancel.is_set() { Error::Cancelled } else { failed(name, &error) })?;
        let value = outputs.get(&self.output.name).ok_or_else(|| failed_with(name, "the output is missing"))?;
        let (shape, elements) = value.try_extract_tensor::<f32>().map_err(|error| failed(name, &error))?;
        let shape: Vec<usize> = shape.iter().map(|n| usize::try_from(*n).unwrap_or(0)).collect();
        let width = match (shape.as_slice(), self.output.is_pooled) {
            ([rows, width], true) if *rows == batch.len() && *width > 0 => *width,
            ([rows, columns, width], false) if *rows == batch.len() && *columns == length && *width > 0 => *width,
            _ => return Err(failed_with(name, &format!("the output has the shape {shape:?}"))),
        };
        let mut vectors = Vec::with_capacity(batch.len());
        for row in 0..batch.len() {
            let mut vector = Vec::new();
            if self.output.is_pooled {
                vector.extend_from_slice(&elements[row * width..(row + 1) * width]);
            } else {
                let tokens = &elements[row * length * width..(row + 1) * length * width];
                self.spec.pooling.apply(tokens, &padded.mask[row * length..(row + 1) * length], width, &mut vector);
            }
            if self.spec.normalize {
                normalize(&mut vector);
            }
            if !vector.iter().all(|x| x.is_finite()) {
                return Err(Error::NotFinite(self.name.clone()));
            }
            vectors.push(vector);
        }
        Ok(vectors)
    }
}

impl TextEncoder for Model {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn encode(&mut self, texts: &[String], cancel: &Cancel) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        for (number, group) in texts.chunks(GROUP).enumerate() {
            let position = |index| (texts.len() > 1).then_some(number * GROUP + index + 1);
            vectors.extend(self.encode_group(group, position, cancel)?);
        }
        Ok(vectors)
    }
}

impl Model {
    fn encode_group(
        &mut self,
        texts: &[String],
        position: impl Fn(usize) -> Option<usize>,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let mut tokens = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            cancel.check()?;
            tokens.push(self.tokenizer.encode(text, cancel).map_err(|error| match error {
                Error::EmptyText { .. } => Error::EmptyText { position: position(index) },
                other => other,
            })?);
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in batches(&tokens, if self.is_batched { BATCH_TOKENS } else { 0 }) {
            cancel.check()?;
            let members: Vec<&Tokens> = batch.iter().map(|index| &tokens[*index]).collect();
            let start = Instant::now();
            let results = self.run(&members, cancel)?;
            self.statistics.add(members.len(), members.iter().map(|t| t.ids.len()).sum(), start.elapsed());
            batch.into_iter().zip(results).for_each(|(index, vector)| vectors[index] = vector);
        }
        Ok(vectors)
    }
}

/// Whether two vectors are equal up to rounding.
fn is_close(a: &[f32], b: &[f32]) -> bool {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>();
    let apart = squares(&mut a.iter().zip(b).map(|(x, y)| x - y));
    a.len() == b.len() && apart <= BATCH_TOLERANCE * BATCH_TOLERANCE * squares(&mut b.iter().copied())
}

/// Batches of texts, as positions. Texts are sorted by length, so that a batch needs little padding. A batch has at most `budget`
/// tokens, or a single text.
fn batches(tokens: &[Tokens], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..tokens.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(tokens[*index].ids.len()));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match batches.last_mut() {
            Some(batch) if (batch.len() + 1) * tokens[batch[0]].ids.len() <= budget => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

/// The inputs of the graph for a batch, in the shape `[rows, length]`.
struct Padded {
    ids: Vec<i64>,
    mask: Vec<i64>,
    types: Vec<i64>,
    length: usize,
}

impl Padded {
    fn new(batch: &[&Tokens], length: usize, pad_id: i64, pad_left: bool) -> Self {
        let size = batch.len() * length;
        let mut padded = Self { ids: vec![pad_id; size], mask: vec![0; size], types: vec![0; size], length };
        for (row, tokens) in batch.iter().enumerate() {
            let count = tokens.ids.len();
            let start = row * length + if pad_left { length - count } else { 0 };
            let range = start..start + count;
            padded.mask[range.clone()].fill(1);
            padded.ids[range.clone()].iter_mut().zip(&tokens.ids).for_each(|(slot, id)| *slot = i64::from(*id));
            padded.types[range].iter_mut().zip(&tokens.type_ids).for_each(|(slot, id)| *slot = i64::from(*id));
        }
        padded
    }

    /// The input `position_ids` as in transformers: 0 for the first token, 1 for padding (GPT-like models, which may be
    /// padded on the left).
    fn positions(&self) -> Vec<i64> {
        let mut positions = vec![1; self.mask.len()];
        for (row, mask) in positions.chunks_mut(self.length).zip(self.mask.chunks(self.length)) {
            let slots = row.iter_mut().zip(mask).filter(|(_, m)| **m != 0);
            slots.zip(0..).for_each(|((slot, _), position)| *slot = position);
        }
        positions
    }
}

/// Opens a session from memory: it runs the bytes that were hashed, and no mapped file can be truncated, which would be SIGBUS.
fn open(runtime: &Runtime, graph: &[u8], weights: Vec<(String, Arc<[u8]>)>, threads: usize) -> ort::Result<Session> {
    let mut builder = Session::builder(runtime.environment())?
        // Memory patterns and the arena would only grow, since sequences differ in length.
        .with_memory_pattern(false)?
        .with_execution_providers([CPU::default().with_arena_allocator(false).build()])?
        .with_intra_threads(threads)?
        .with_inter_threads(1)?
        .with_intra_op_spinning(false)?;
    for (location, bytes) in weights {
        builder = builder.with_external_initializer_file_in_memory(location, bytes)?;
    }
    builder.commit_from_memory(graph)
}

fn inputs(session: &Session, graph: &Path) -> Result<Vec<Input>, Error> {
    let known = [Input::Ids, Input::Mask, Input::Types, Input::Positions];
    let mut inputs = Vec::new();
    for outlet in session.inputs() {
        let Some(input) = known.into_iter().find(|input| input.name() == outlet.name()) else {
            return Err(Error::unsupported(graph, format!("an input \"{}\"", short(outlet.name()))));
        };
        if element(outlet.dtype()) != Some(TensorElementType::Int64) {
            return Err(Error::unsupported(graph, format!("an input \"{}\" that is not int64", outlet.name())));
        }
        inputs.push(input);
    }
    if !inputs.contains(&Input::Ids) {
        return Err(Error::invalid(graph, "it has no input \"input_ids\""));
    }
    Ok(inputs)
}

fn output(session: &Session, graph: &Path) -> Result<Output, Error> {
    let outputs = session.outputs();
    let named = |name: &str| outputs.iter().find(|outlet| outlet.name() == name);
    let found = named("last_hidden_state")
        .or_else(|| named("token_embeddings"))
        .map(|outlet| (outlet, false))
        .or_else(|| named("sentence_embedding").map(|outlet| (outlet, true)))
        .filter(|(outlet, _)| element(outlet.dtype()) == Some(TensorElementType::Float32));
    let Some((outlet, is_pooled)) = found else {
        let mut names: Vec<_> = outputs.iter().map(|outlet| format!("\"{}\"", short(outlet.name()))).take(8).collect();
        names.extend((outputs.len() > 8).then(|| "others".to_owned()));
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(Error::NoOutput { path: graph.to_owned(), found });
    };
    Ok(Output { name: outlet.name().to_owned(), is_pooled })
}

fn element(kind: &ValueType) -> Option<TensorElementType> {
    kind.tensor_type()
}

fn failed(model: &str, error: &ort::Error) -> Error {
    failed_with(model, &reason(error))
}

fn failed_with(model: &str, reason: &str) -> Error {
    Error::Inference { model: model.to_owned(), reason: reason.to_owned() }
}

/// The first line of a message; the others are C++ stack frames.
fn reason(error: &ort::Error) -> String {
    short(error.message().lines().next().unwrap_or_default().trim()).to_string()
}

/// A name from a file, shortened and escaped for a message.
fn short(name: &str) -> String {
    name.chars().take(200).collect::<String>().escape_debug().to_string()
}
