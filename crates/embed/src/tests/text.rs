//! Tokens of long texts are those of the whole text, cut; but not all of it is read.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenizers::{Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use super::*;
use crate::layout::Spec;
use crate::pooling::Pooling;
use crate::tokenize::TextTokenizer;

/// All that is in a tokenizer.json but truncation.
fn tokenizer(model: Value, normalizer: Value, splitter: Value, added: &[(&str, bool)]) -> Value {
    let id = |token: &str| model["vocab"].get(token).cloned().unwrap_or(json!(0));
    let added: Vec<Value> = added
        .iter()
        .map(|(content, is_normalized)| {
            json!({"id": id(content), "content": content, "single_word": false, "lstrip": content.starts_with('<'),
                "rstrip": false, "normalized": is_normalized, "special": !is_normalized})
        })
        .collect();
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": splitter, "decoder": null, "model": model,
        "post_processor": {"type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, sequence],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}}}})
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz0123456789.,;!?-'αβгд가각東京é";

fn vocabulary(words: &[&str], prefix: &str) -> Value {
    let mut names: Vec<String> = ["[UNK]", "[CLS]", "[MASK]", "<mask>", "day"].map(str::to_owned).to_vec();
    names.extend(LETTERS.chars().map(String::from));
    names.extend(LETTERS.chars().map(|c| format!("{prefix}{c}")));
    names.extend(words.iter().map(|word| (*word).to_owned()));
    names.dedup();
    let unique: BTreeMap<String, usize> = names.into_iter().enumerate().map(|(id, name)| (name, id)).collect();
    json!(unique)
}

fn word_piece() -> Value {
    let vocab = vocabulary(&["ab", "abc", "##ab", "##cd", "word", "##ing"], "##");
    json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 20,
        "vocab": vocab})
}

fn bpe(space: &str) -> Value {
    let merges = [("a", "b"), ("b", "c"), ("c", "d"), ("ab", "cd"), ("b", "a"), ("a", "a"), ("aa", "aa"), (space, "a")];
    let merged: Vec<String> = merges.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut words: Vec<&str> = merged.iter().map(String::as_str).collect();
    words.push(space);
    let vocab = vocabulary(&words, "");
    let merges: Vec<Value> = merges.iter().map(|(a, b)| json!([a, b])).collect();
    json!({"type": "BPE", "dropout": null, "unk_token": "[UNK]", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": false, "ignore_merges": false, "vocab": vocab,
        "merges": merges})
}

fn unigram() -> Value {
    let words = ["[UNK]", "[CLS]", "[MASK]", "<mask>", "day", "▁", "▁a", "ab", "abc", "cd", "▁word", "ing", "東京"];
    let letters: Vec<String> = LETTERS.chars().map(String::from).collect();
    let vocab = words.into_iter().chain(letters.iter().map(String::as_str)).enumerate();
    let vocab: Vec<Value> = vocab.map(|(i, word)| json!([word, -((i * 37 % 11) as f64) / 3.0 - 1.0])).collect();
    json!({"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": false})
}

/// One of each family.
fn tokenizers() -> Vec<(&'static str, Value)> {
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
        "lowercase": true});
    let level = |prefix: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let both = |kind: &str, parts: Value| match kind {
        "normalizers" => json!({"type": "Sequence", "normalizers": parts}),
        _ => json!({"type": "Sequence", "pretokenizers": parts}),
    };
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let digits = json!({"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false});
    let plain = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let sentence = both("normalizers", json!([{"type": "NFKC"}, replace(json!({"Regex": " {2,}"}), " ")]));
    let llama = both("normalizers", json!([{"type": "Prepend", "prepend": "▁"}, replace(json!({"String": " "}), "▁")]));
    let words = json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary(&["word", "a", "ab"], "")});
    let split = json!({"type": "WhitespaceSplit"});
    let regular = both("", json!([{"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Isolated"}]));
    let forms = both("normalizers", json!([{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}]));
    vec![
        ("bert", tokenizer(word_piece(), bert, json!({"type": "BertPreTokenizer"}), &[("[MASK]", false)])),
        ("bert, by words", tokenizer(word_piece(), forms, regular, &[("<mask>", false)])),
        ("words", tokenizer(words, Value::Null, split, &[])),
        ("bytes", tokenizer(bpe("Ġ"), Value::Null, level(false), &[("<mask>", false)])),
        ("bytes after a space", tokenizer(bpe("Ġ"), json!({"type": "NFC"}), level(true), &[("day", true)])),
        ("digits in groups", tokenizer(bpe("Ġ"), Value::Null, both("", json!([digits, plain])), &[])),
        ("sentences", tokenizer(unigram(), sentence.clone(), metaspace("always", true), &[("<mask>", false)])),
        ("sentences, first", tokenizer(unigram(), sentence, metaspace("first", true), &[("day", true)])),
        ("sentences, spaces kept", tokenizer(unigram(), Value::Null, metaspace("never", true), &[("<mask>", false)])),
        ("sentences, not split", tokenizer(unigram(), Value::Null, metaspace("always", false), &[])),
        ("without a splitter", tokenizer(bpe("▁"), llama, Value::Null, &[])),
    ]
}

fn spec(max_tokens: usize, lower_case: bool) -> Spec {
    Spec {
        directory: PathBuf::new(),
        graph: PathBuf::new(),
        tokenizer: PathBuf::from("tokenizer.json"),
        max_tokens,
        lower_case,
        pooling: Pooling::MEAN,
        normalize: false,
        width: None,
        prompts: BTreeMap::new(),
        default_prompt: None,
        pad_id: None,
        pad_token: None,
        pad_left: false,
    }
}

/// One that keeps the beginning or the end of a text, and one that reads all of it.
fn pair(json: &Value, max_tokens: usize, keeps_end: bool) -> (TextTokenizer, Tokenizer) {
    let mut json = json.clone();
    let direction = if keeps_end { "Left" } else { "Right" };
    json["truncation"] = json!({"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": direction});
    let bytes = serde_json::to_vec(&json).expect("json");
    let cut = TextTokenizer::load(&spec(max_tokens, false), &bytes).expect("tokenizer");
    let mut whole = Tokenizer::from_bytes(&bytes).expect("tokenizer");
    let direction = if keeps_end { TruncationDirection::Left } else { TruncationDirection::Right };
    let truncation =
        TruncationParams { direction, max_length: max_tokens, strategy: TruncationStrategy::LongestFirst, stride: 0 };
    whole.with_truncation(Some(truncation)).expect("truncation");
    (cut, whole)
}

fn of_whole(whole: &Tokenizer, text: &str) -> Vec<u32> {
    whole.encode_fast(text.trim_matches(|c: char| c.is_whitespace()), true).expect("tokens").get_ids().to_vec()
}

/// Numbers that look random, the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Words, runs of white space and digits, scripts, marks, control characters, and words beyond every limit.
    fn text(&mut self, parts: usize) -> String {
        let letters: Vec<char> = LETTERS.chars().collect();
        let others: Vec<char> = "ÀéßİŀŉΣςЖ가힣ぁ東京é\u{301}\u{323}\u{200d}\u{7}\u{fffd}😀🏽½²ﬁ".chars().collect();
        let mut text = String::new();
        for _ in 0..parts {
            match self.below(12) {
                0..=4 => (0..self.below(9)).for_each(|_| text.push(letters[self.below(26)])),
                5 if self.below(4) == 0 => text.push_str(&format!("{}<mask>", " ".repeat(self.below(200)))),
                5 => text.push_str([" word", "abab", " <mask>", "[MASK]", "day", "aaaa "][self.below(6)]),
                6 => (0..self.below(60)).for_each(|_| text.push([' ', '\n', '\t', '\u{a0}'][self.below(20).min(3)])),
                7 => (0..self.below(40)).for_each(|_| text.push(letters[26 + self.below(10)])),
                8 => (0..self.below(10)).for_each(|_| text.push(letters[self.below(letters.len())])),
                9 => (0..self.below(10)).for_each(|_| text.push(others[self.below(others.len())])),
                10 => {
                    let c = [letters[self.below(26)], others[self.below(others.len())]][self.below(2)];
                    (0..self.below(150)).for_each(|_| text.push(c));
                }
                _ => text.push(' '),
            }
            text.push_str(["", "", " ", " ", "."][self.below(5)]);
        }
        text
    }
}

#[test]
fn tokens_of_a_beginning_are_those_of_the_whole_text() {
    let mut numbers = Numbers(1);
    for (name, json) in tokenizers() {
        for keeps_end in [false, true] {
            let (mut cut, whole) = pair(&json, 2 + numbers.below(40), keeps_end);
            for round in 0..40 {
                cut.window = (1 + numbers.below(40), usize::MAX / 4);
                let parts = 1 + numbers.below(100);
                let text = format!("{}a", numbers.text(parts));
                let tokens = cut.encode(&text, &Cancel::default()).expect("tokens");
                assert_eq!(tokens.ids, of_whole(&whole, &text), "{name}, {keeps_end}, {round}: {text:?}");
            }
        }
    }
}

#[test]
fn what_is_left_out_of_a_long_text_makes_no_difference() {
    let mut numbers = Numbers(2);
    for (name, json) in tokenizers() {
        let mut cuts = 0;
        for keeps_end in [false, true] {
            let (mut cut, whole) = pair(&json, 20, keeps_end);
            cut.window = (16, 256); // longer texts are looked at without what makes no token
            for round in 0..40 {
                let parts = 1 + numbers.below(60);
                let text = format!("{}a", numbers.text(parts));
                match cut.encode(&text, &Cancel::default()) {
                    Ok(tokens) => {
                        assert_eq!(tokens.ids, of_whole(&whole, &text), "{name}, {keeps_end}, {round}: {text:?}");
                        cuts += 1;
                    }
                    Err(error) => assert_eq!(error.sqlstate(), "54000"),
                }
            }
        }
        assert!(cuts > 20, "{name}: {cuts}");
    }
}

#[test]
fn long_words_and_white_space_of_megabytes_are_the_tokens_that_they_were() {
    let (_, json) = tokenizers().remove(0);
    let (cut, _) = pair(&json, 20, false);
    let ids = |text: &str| cut.encode(text, &Cancel::default()).expect("tokens").ids;
    let many = 8 << 20;
    assert_eq!(ids(&"word ".repeat(many / 5)), ids(&"word ".repeat(30)));
    assert_eq!(ids(&"x".repeat(many)), ids(&"x".repeat(30)));
    assert_eq!(ids(&format!("a{}b", " ".repeat(many))), ids("a b"));
    assert_eq!(ids(&format!("{} ab", "é".repeat(many / 2))), ids(&format!("{} ab", "é".repeat(30))));
    assert_eq!(ids(&"😀".repeat(many / 4)), ids(&"😀".repeat(30)));
    assert_eq!(ids(&format!("a{}b", "\u{7}".repeat(many))), ids("ab"));
    assert_eq!(ids(&format!("a{}b", " \u{7}".repeat(many / 2))), ids("a b"));
    assert_eq!(ids(&"e\u{301}\u{301}\u{301}".repeat(many / 7)), ids(&"e".repeat(30)));
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(cut.encode(&" ".repeat(many), &cancel), Err(Error::EmptyText { position: None }));
    assert_eq!(cut.encode(&"x".repeat(many), &cancel), Err(Error::Cancelled));
    // Where nothing is known about the tokenizer, such a text is refused after a bounded piece.
    let (_, json) = tokenizers().swap_remove(6);
    let (cut, _) = pair(&json, 20, false);
    let noise = format!("a{}b", " ".repeat(many));
    assert_eq!(cut.encode(&noise, &Cancel::default()).expect_err("an error").sqlstate(), "54000");
}

#[test]
fn lower_case_is_that_of_the_whole_text() {
    let (_, json) = tokenizers().swap_remove(2);
    let bytes = serde_json::to_vec(&json).expect("json");
    let cut = TextTokenizer::load(&spec(20, true), &bytes).expect("tokenizer");
    let ids = |text: &str| cut.encode(text, &Cancel::default()).expect("tokens").ids;
    assert_eq!(ids(&"WORD AB ".repeat(1 << 18)), ids(&"word ab ".repeat(20)));
}

#[test]
fn a_tokenizer_that_cannot_be_is_an_invalid_file() {
    for text in ["{}", "{\"version\": ", &"[".repeat(1 << 20)] {
        assert_eq!(TextTokenizer::load(&spec(20, false), text.as_bytes()).err().map(|e| e.sqlstate()), Some("LGE01"));
    }
}
