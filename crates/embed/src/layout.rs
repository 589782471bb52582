//! A model directory, read and checked: sentence-transformers' layout, or a plain Hugging Face export.
//!
//! ```text
//! modules.json                      order of modules: Transformer, Pooling, and perhaps Normalize; absent: mean pooling
//! 1_Pooling/config.json             pooling modes
//! sentence_bert_config.json         max_seq_length, do_lower_case
//! config_sentence_transformers.json prompts, default_prompt_name
//! config.json                       max_position_embeddings, pad_token_id, hidden_size
//! tokenizer.json, tokenizer_config.json
//! model.onnx or onnx/model.onnx     and the files of weights that it names
//! ```

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};

use serde::Deserialize;

use crate::Error;
use crate::pooling::Pooling;
use crate::reader::{Reader, parse};

/// Maximum number of tokens of a model whose files state none.
const DEFAULT_MAX_TOKENS: usize = 512;
/// Maximum number of tokens of any model, whatever its files state.
const MOST_TOKENS: usize = 32_768;
/// Above this, `model_max_length` means "unknown": transformers writes 1e30.
const NO_LIMIT: f64 = 1e9;

/// The settings of a model's files.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The model directory, an absolute path.
    pub directory: PathBuf,
    /// The ONNX file.
    pub graph: PathBuf,
    /// tokenizer.json.
    pub tokenizer: PathBuf,
    /// Longest sequence, special tokens included.
    pub max_tokens: usize,
    /// Whether texts are lower-cased before the tokenizer sees them.
    pub lower_case: bool,
    /// How the vectors of tokens are pooled.
    pub pooling: Pooling,
    /// Whether the result is scaled to length 1.
    pub normalize: bool,
    /// Elements of a token's vector, if the files state them.
    pub width: Option<usize>,
    /// Prefixes by name.
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt that is used.
    pub default_prompt: Option<String>,
    /// The id of the padding token.
    pub pad_id: Option<u32>,
    /// The text of the padding token, if its id is not stated.
    pub pad_token: Option<String>,
    /// Whether sequences are padded on the left.
    pub pad_left: bool,
}

impl Spec {
    /// Reads and checks the settings files. Also returns the bytes of tokenizer.json, from which the tokenizer is loaded.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<(Self, Vec<u8>), Error> {
        let directory = reader.directory;
        let modules = Modules::read(reader)?;
        let base = directory.join(&modules.transformer);
        let tokenizer = base.join("tokenizer.json");
        let tokenizer_bytes = reader.tokenizer(&tokenizer)?;
        let graph = ["model.onnx", "onnx/model.onnx"].map(|name| base.join(name));
        let graph = graph.iter().find(|path| reader.exists(path)).unwrap_or(&graph[0]).clone();

        let config: Config = reader.json(&base.join("config.json"))?.unwrap_or_default();
        let tokenizer_config: TokenizerConfig = reader.json(&base.join("tokenizer_config.json"))?.unwrap_or_default();
        let tokenizer_file: TokenizerFile = parse(&tokenizer, &tokenizer_bytes)?;
        let mut sentence = None;
        for path in SENTENCE_CONFIGS.map(|name| base.join(name)) {
            sentence = reader.json(&path)?;
            if sentence.is_some() {
                break;
            }
        }
        let sentence: SentenceConfig = sentence.unwrap_or_default();
        let prompts_path = directory.join("config_sentence_transformers.json");
        let prompts: Prompts = reader.json(&prompts_path)?.unwrap_or_default();
        if let Some(name) = &prompts.default_prompt_name
            && !prompts.prompts.contains_key(name)
        {
            let reason = format!("default_prompt_name \"{name}\" is not among its prompts");
            return Err(Error::invalid(&prompts_path, reason));
        }
        if let (Some(expected), Some(actual)) = (modules.width, config.hidden_size)
            && expected != actual
        {
            let reason = format!("word_embedding_dimension is {expected}, but config.json has hidden_size {actual}");
            return Err(Error::invalid(&modules.pooling_path, reason));
        }
        let padding = tokenizer_file.padding.unwrap_or_default();
        let spec = Self {
            directory: directory.to_owned(),
            max_tokens: max_tokens(&sentence, &config, &tokenizer_config),
            lower_case: sentence.do_lower_case,
            pooling: modules.pooling,
            normalize: modules.normalize,
            width: modules.width.or(config.hidden_size),
            prompts: prompts.prompts.into_iter().filter_map(|(name, text)| Some((name, text?))).collect(),
            default_prompt: prompts.default_prompt_name,
            pad_id: padding.pad_id.or(config.pad_token_id),
            pad_token: tokenizer_config.pad_token.and_then(|token| token.text()),
            pad_left: padding
                .direction
                .or(tokenizer_config.padding_side)
                .is_some_and(|side| side.eq_ignore_ascii_case("left")),
            graph,
            tokenizer,
        };
        if !modules.include_prompt && spec.prompt().is_some_and(|prompt| !prompt.is_empty()) {
            return Err(Error::unsupported(
                &modules.pooling_path,
                "pooling without the prompt (include_prompt = false)",
            ));
        }
        Ok((spec, tokenizer_bytes))
    }

    /// The prompt that precedes every text.
    pub fn prompt(&self) -> Option<&str> {
        self.default_prompt.as_ref().and_then(|name| self.prompts.get(name)).map(String::as_str)
    }

    /// The prompts as a JSON object.
    pub fn prompts_json(&self) -> String {
        serde_json::Value::from_iter(self.prompts.clone()).to_string()
    }
}

/// SentenceTransformer reads the first of these that exists (models/Transformer.py).
const SENTENCE_CONFIGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Models whose position numbers begin after the padding id, so that the first rows of the position table are unused.
const OFFSET_POSITIONS: [&str; 5] = ["roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet"];

fn max_tokens(sentence: &SentenceConfig, config: &Config, tokenizer: &TokenizerConfig) -> usize {
    let offset = match &config.model_type {
        Some(kind) if OFFSET_POSITIONS.contains(&kind.as_str()) => config.pad_token_id.unwrap_or(1) as usize + 1,
        _ => 0,
    };
    let positions = config.max_position_embeddings.map(|positions| positions.saturating_sub(offset));
    let stated = sentence.max_seq_length.or_else(|| {
        let length = tokenizer.model_max_length.filter(|length| *length >= 1.0 && *length < NO_LIMIT);
        length.map(|length| length as usize)
    });
    // A position beyond the table would fail in the graph, in the middle of a query.
    let tokens = match (stated, positions) {
        (Some(stated), Some(positions)) => stated.min(positions),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => DEFAULT_MAX_TOKENS,
    };
    tokens.min(MOST_TOKENS)
}

struct Modules {
    transformer: PathBuf,
    pooling: Pooling,
    pooling_path: PathBuf,
    include_prompt: bool,
    normalize: bool,
    width: Option<usize>,
}

#[derive(Deserialize)]
struct ModuleEntry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Modules {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let directory = reader.directory;
        let listing = directory.join("modules.json");
        let mut modules = Self {
            transformer: PathBuf::new(),
            pooling: Pooling::MEAN,
            pooling_path: directory.join("1_Pooling/config.json"),
            include_prompt: true,
            normalize: false,
            width: None,
        };
        let Some(entries) = reader.json::<Vec<ModuleEntry>>(&listing)? else { return Ok(modules) };
        let mut stage = 0; // 0: nothing, 1: Transformer, 2: Pooling, 3: Normalize
        for entry in entries {
            let path = PathBuf::from(&entry.path);
            if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
                return Err(Error::invalid(&listing, format!("module path \"{}\" leaves the directory", entry.path)));
            }
            let kind = entry.kind.rsplit('.').next().unwrap_or_default();
            match (kind, stage) {
                ("Transformer", 0) => (modules.transformer, stage) = (path, 1),
                ("Pooling", 1) => {
                    modules.read_pooling(reader, directory.join(path).join("config.json"))?;
                    stage = 2;
                }
                ("Normalize", 2) => (modules.normalize, stage) = (true, 3),
                ("Transformer" | "Pooling" | "Normalize", _) => {
                    return Err(Error::unsupported(&listing, format!("module {kind} in this place")));
                }
                _ => return Err(Error::unsupported(&listing, format!("module {kind}"))),
            }
        }
        if stage < 2 {
            return Err(Error::invalid(&listing, "it lists no Transformer followed by Pooling"));
        }
        Ok(modules)
    }

    fn read_pooling(&mut self, reader: &mut Reader<'_>, path: PathBuf) -> Result<(), Error> {
        let config: PoolingConfig = match reader.json(&path)? {
            Some(config) => config,
            None => {
                let directory = reader.directory.to_owned();
                return Err(Error::FileMissing { directory, file: "1_Pooling/config.json" });
            }
        };
        self.pooling = config.pooling().map_err(|reason| Error::invalid(&path, reason))?;
        self.include_prompt = config.include_prompt;
        self.width = config.word_embedding_dimension;
        self.pooling_path = path;
        Ok(())
    }
}

#[derive(Deserialize)]
struct PoolingConfig {
    word_embedding_dimension: Option<usize>,
    pooling_mode: Option<OneOrMany>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    // The default of the Python constructor that takes these as arguments.
    #[serde(default = "yes")]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    #[serde(default = "yes")]
    include_prompt: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl PoolingConfig {
    fn pooling(&self) -> Result<Pooling, String> {
        let names = match &self.pooling_mode {
            None => {
                let pooling = Pooling {
                    cls: self.pooling_mode_cls_token,
                    max: self.pooling_mode_max_tokens,
                    mean: self.pooling_mode_mean_tokens,
                    mean_sqrt_len: self.pooling_mode_mean_sqrt_len_tokens,
                    weighted_mean: self.pooling_mode_weightedmean_tokens,
                    last: self.pooling_mode_lasttoken,
                };
                return if pooling.count() > 0 { Ok(pooling) } else { Err("no pooling mode is on".to_owned()) };
            }
            Some(OneOrMany::One(name)) => std::slice::from_ref(name),
            Some(OneOrMany::Many(names)) => names.as_slice(),
        };
        let mut pooling = Pooling::default();
        for name in names {
            let flag = match name.as_str() {
                "cls" => &mut pooling.cls,
                "max" => &mut pooling.max,
                "mean" => &mut pooling.mean,
                "mean_sqrt_len_tokens" => &mut pooling.mean_sqrt_len,
                "weightedmean" => &mut pooling.weighted_mean,
                "lasttoken" => &mut pooling.last,
                other => return Err(format!("unknown pooling mode \"{other}\"")),
            };
            *flag = true;
        }
        if pooling.count() > 0 { Ok(pooling) } else { Err("no pooling mode is on".to_owned()) }
    }
}

#[derive(Deserialize, Default)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

#[derive(Deserialize, Default)]
struct Prompts {
    #[serde(default)]
    prompts: BTreeMap<String, Option<String>>,
    default_prompt_name: Option<String>,
}

#[derive(Deserialize, Default)]
struct Config {
    model_type: Option<String>,
    max_position_embeddings: Option<usize>,
    pad_token_id: Option<u32>,
    hidden_size: Option<usize>,
}

#[derive(Deserialize, Default)]
struct TokenizerConfig {
    model_max_length: Option<f64>,
    padding_side: Option<String>,
    pad_token: Option<TokenText>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TokenText {
    Plain(String),
    Added { content: String },
}

impl TokenText {
    fn text(self) -> Option<String> {
        match self {
            Self::Plain(text) | Self::Added { content: text } => Some(text),
        }
    }
}

#[derive(Deserialize, Default)]
struct TokenizerFile {
    padding: Option<TokenizerPadding>,
}

#[derive(Deserialize, Default)]
struct TokenizerPadding {
    pad_id: Option<u32>,
    direction: Option<String>,
}
