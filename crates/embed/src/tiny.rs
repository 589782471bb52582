//! Writes small models for tests: an embedding table as an ONNX graph, a tokenizer of whole words, and the settings files.
//!
//! The vector of a token is a row of [`TinyModel::row`], so a test can compute any result by itself. Used by the unit tests
//! here and, through a path, by the tests inside a server.

use std::io;
use std::path::Path;

/// What the model is like. Start from [`TinyModel::default`].
#[derive(Clone)]
pub struct TinyModel {
    /// Elements of a token's vector.
    pub width: usize,
    /// Names as in `1_Pooling/config.json` without `pooling_mode_`; empty: no modules.json at all.
    pub pooling: &'static [&'static str],
    /// Whether modules.json lists Normalize.
    pub normalize: bool,
    /// `max_seq_length`.
    pub max_tokens: usize,
    /// Whether padding is on the left.
    pub pad_left: bool,
    /// `do_lower_case`.
    pub lower_case: bool,
    /// config_sentence_transformers.json.
    pub prompts: Option<&'static str>,
    /// Inputs that the graph declares.
    pub inputs: &'static [&'static str],
    /// Multiplications with the identity, to make it slow.
    pub depth: usize,
    /// Where the graph goes.
    pub graph: &'static str,
    /// Where the embedding table lies, as the graph names it; `None`: in the graph.
    pub weights: Option<&'static str>,
    /// Whether the graph quantises with a scale of its whole input.
    pub is_dynamic: bool,
    /// The name of the graph's output.
    pub output: &'static str,
}

impl Default for TinyModel {
    fn default() -> Self {
        Self {
            width: 8,
            pooling: &["mean_tokens"],
            normalize: true,
            max_tokens: 16,
            pad_left: false,
            lower_case: false,
            prompts: None,
            inputs: &["input_ids", "attention_mask", "token_type_ids"],
            depth: 0,
            graph: "model.onnx",
            weights: None,
            is_dynamic: false,
            output: "last_hidden_state",
        }
    }
}

/// Id 0 is padding, 1 unknown, 2 and 3 begin and end of a text.
pub const WORDS: [&str; 12] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "one", "two", "three", "RED", "query"];

impl TinyModel {
    /// The vector of a token.
    pub fn row(&self, id: usize) -> Vec<f32> {
        (0..self.width).map(|j| ((id * 31 + j * 17 + id * j * 7) % 23) as f32 / 11.5 - 1.0).collect()
    }

    /// Writes all files.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let write = |name: &str, content: &[u8]| {
            let path = directory.join(name);
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, content)
        };
        write(self.graph, &self.onnx())?;
        if let Some(name) = self.weights {
            write(&Path::new(self.graph).with_file_name(name).to_string_lossy(), &bytes_of(&self.table()))?;
        }
        write("tokenizer.json", self.tokenizer().as_bytes())?;
        let side = if self.pad_left { "left" } else { "right" };
        let tokenizer = format!(r#"{{"model_max_length": 1e30, "padding_side": "{side}", "pad_token": "[PAD]"}}"#);
        write("tokenizer_config.json", tokenizer.as_bytes())?;
        let config = format!(
            r#"{{"model_type": "tiny", "hidden_size": {}, "max_position_embeddings": {}, "pad_token_id": 0}}"#,
            self.width, self.max_tokens
        );
        write("config.json", config.as_bytes())?;
        if self.pooling.is_empty() {
            return Ok(());
        }
        let sentence = format!(r#"{{"max_seq_length": {}, "do_lower_case": {}}}"#, self.max_tokens, self.lower_case);
        write("sentence_bert_config.json", sentence.as_bytes())?;
        let module = |i: u8, path: &str, kind: &str| {
            format!(r#"{{"idx": {i}, "name": "{i}", "path": "{path}", "type": "sentence_transformers.models.{kind}"}}"#)
        };
        let mut modules = vec![module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")];
        if self.normalize {
            modules.push(module(2, "2_Normalize", "Normalize"));
        }
        write("modules.json", format!("[{}]", modules.join(",")).as_bytes())?;
        let modes =
            ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"];
        let modes = modes.map(|mode| format!(r#""pooling_mode_{mode}": {}"#, self.pooling.contains(&mode)));
        let pooling = format!(r#"{{"word_embedding_dimension": {}, {}}}"#, self.width, modes.join(", "));
        write("1_Pooling/config.json", pooling.as_bytes())?;
        match self.prompts {
            Some(prompts) => write("config_sentence_transformers.json", prompts.as_bytes()),
            None => Ok(()),
        }
    }

    /// Whole words; its own truncation and padding are wrong on purpose, as in many published models.
    fn tokenizer(&self) -> String {
        let vocabulary: Vec<_> = WORDS.iter().enumerate().map(|(id, word)| format!(r#""{word}": {id}"#)).collect();
        let direction = if self.pad_left { "Left" } else { "Right" };
        format!(
            r#"{{"version": "1.0",
            "truncation": {{"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}},
            "padding": {{"strategy": {{"Fixed": 9}}, "direction": "{direction}", "pad_to_multiple_of": null, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "[PAD]"}},
            "added_tokens": [], "normalizer": null, "pre_tokenizer": {{"type": "WhitespaceSplit"}}, "decoder": null,
            "post_processor": {{"type": "TemplateProcessing",
                "single": [{{"SpecialToken": {{"id": "[CLS]", "type_id": 0}}}}, {{"Sequence": {{"id": "A", "type_id": 0}}}},
                    {{"SpecialToken": {{"id": "[SEP]", "type_id": 0}}}}],
                "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"Sequence": {{"id": "B", "type_id": 1}}}}],
                "special_tokens": {{"[CLS]": {{"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
                    "[SEP]": {{"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}}}}},
            "model": {{"type": "WordLevel", "vocab": {{{}}}, "unk_token": "[UNK]"}}}}"#,
            vocabulary.join(", ")
        )
    }

    fn table(&self) -> Vec<f32> {
        (0..WORDS.len()).flat_map(|id| self.row(id)).collect()
    }

    /// The graph: Gather, then `depth` multiplications with the identity.
    fn onnx(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        let mut node = |op: &str, inputs: &[&str], outputs: &[&str]| {
            let mut body: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
            body.extend(outputs.iter().flat_map(|output| field(2, output.as_bytes())));
            body.extend(field(4, op.as_bytes()));
            graph.extend(field(1, &body));
        };
        if self.is_dynamic {
            node("Gather", &["table", "input_ids"], &["x"]);
            node("DynamicQuantizeLinear", &["x"], &["q", "scale", "zero"]);
            node("DequantizeLinear", &["q", "scale", "zero"], &["x0"]);
        } else {
            node("Gather", &["table", "input_ids"], &["x0"]);
        }
        for i in 0..self.depth {
            node("MatMul", &[&format!("x{i}"), "identity"], &[&format!("x{}", i + 1)]);
        }
        node("Identity", &[&format!("x{}", self.depth)], &[self.output]);
        graph.extend(field(2, b"tiny"));
        let shape = [WORDS.len(), self.width];
        graph.extend(field(
            5,
            &match self.weights {
                Some(location) => external("table", &shape, location),
                None => tensor("table", &shape, &self.table()),
            },
        ));
        if self.depth > 0 {
            let identity: Vec<f32> =
                (0..self.width * self.width).map(|i| if i % (self.width + 1) == 0 { 1.0 } else { 0.0 }).collect();
            graph.extend(field(5, &tensor("identity", &[self.width, self.width], &identity)));
        }
        for input in self.inputs {
            graph.extend(field(11, &value(input, 7, None)));
        }
        graph.extend(field(12, &value(self.output, 1, Some(self.width))));
        let opset: Vec<u8> = [field(1, b""), number(2, 17)].concat();
        [number(1, 8), field(2, b"lagoon"), field(7, &graph), field(8, &opset)].concat()
    }
}

// Protocol buffers, as far as onnx.proto3 needs them.

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n > 127 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

fn number(id: u64, n: u64) -> Vec<u8> {
    [varint(id << 3), varint(n)].concat()
}

fn field(id: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(id << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|n| number(1, *n as u64)).collect();
    [dims, number(2, 1), field(8, name.as_bytes()), field(9, &bytes_of(values))].concat()
}

fn external(name: &str, shape: &[usize], location: &str) -> Vec<u8> {
    let dims: Vec<u8> = shape.iter().flat_map(|n| number(1, *n as u64)).collect();
    let entry = field(13, &[field(1, b"location"), field(2, location.as_bytes())].concat());
    [dims, number(2, 1), field(8, name.as_bytes()), entry, number(14, 1)].concat()
}

fn bytes_of(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn value(name: &str, kind: u64, width: Option<usize>) -> Vec<u8> {
    let mut shape = [field(1, &field(2, b"batch")), field(1, &field(2, b"sequence"))].concat();
    shape.extend(width.map(|width| field(1, &number(1, width as u64))).unwrap_or_default());
    let tensor = [number(1, kind), field(2, &shape)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}
