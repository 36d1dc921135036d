"""A tiny encoder of the shape of MiniLM, for tests and the guide, and a greedy one.

One layer of attention and one of GELU over 16 numbers, with the names of inputs and outputs that
exports for sentence-transformers have. Words for one thing begin at the same place, so `dog` is
near `hund`. Writes the model, its vocab.txt, and what onnxruntime makes of some texts. `greedy.onnx`
is a correct file of 300 bytes that asks for a tensor of 5 GiB.

    python node/model/tiny.py node/src/embed/onnx/fixtures
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WIDTH, HEADS, SEED = 16, 2, 11
THINGS = ["dog hund perro", "cat katze gato", "bread brot pan", "house haus casa", "winter invierno"]
LOOSE = "the der a of and is my barks bakes on . , ! ? [ ] sep cls un ##able ##s 日 ete".split()
TEXTS = [
    "The dog barks.", "Der Hund, perro!", "Winter of bread and houses", "ÉTÉ 日日 unable",
    "my [SEP] cat", "nothing known: xyzzy", "pan " * 40,
]


def words():
    """Returns the pieces and the row of each."""
    random = np.random.default_rng(SEED)
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    basis, _ = np.linalg.qr(random.normal(size=(WIDTH, WIDTH)))
    pieces, rows = list(marks), [random.normal(size=WIDTH) * 0.02 for _ in marks]
    for thing, direction in zip(THINGS, basis):
        for word in thing.split():
            pieces.append(word)
            rows.append(direction * 2 + random.normal(size=WIDTH) * 0.02)
    for piece in LOOSE:
        pieces.append(piece)
        rows.append(random.normal(size=WIDTH) * 0.1)
    return pieces, np.array(rows, np.float32)


def graph(rows):
    """Returns the model."""
    random = np.random.default_rng(SEED + 1)
    nodes, constants = [], []

    def constant(value):
        constants.append(numpy_helper.from_array(np.array(value), f"c{len(constants)}"))
        return constants[-1].name

    def op(kind, *inputs, name=None, **attributes):
        out = name or f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def linear(x, size=WIDTH):
        matrix = random.normal(size=(WIDTH, size)).astype(np.float32) * 0.2
        return op("Add", op("MatMul", x, constant(matrix)), constant(np.zeros(size, np.float32)))

    def norm(x):
        ones, zeros = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
        return op("LayerNormalization", x, constant(ones), constant(zeros), epsilon=1e-12)

    def heads(x, order):
        shape = constant(np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
        return op("Transpose", op("Reshape", x, shape), perm=order)

    kinds = op("Gather", constant(np.zeros((2, WIDTH), np.float32)), "token_type_ids")
    x = norm(op("Add", op("Gather", constant(rows), "input_ids"), kinds))
    mask = op("Unsqueeze", op("Cast", "attention_mask", to=TensorProto.FLOAT), constant(np.array([1, 2], np.int64)))
    bias = op("Mul", op("Sub", constant(np.float32(1)), mask), constant(np.float32(-1e4)))
    query, key, value = heads(linear(x), [0, 2, 1, 3]), heads(linear(x), [0, 2, 3, 1]), heads(linear(x), [0, 2, 1, 3])
    scores = op("Div", op("MatMul", query, key), constant(np.float32((WIDTH // HEADS) ** 0.5)))
    mixed = op("Transpose", op("MatMul", op("Softmax", op("Add", scores, bias), axis=-1), value), perm=[0, 2, 1, 3])
    x = norm(op("Add", x, linear(op("Reshape", mixed, constant(np.array([0, 0, WIDTH], np.int64))))))
    up = linear(x)
    root = op("Add", op("Erf", op("Div", up, constant(np.float32(2**0.5)))), constant(np.float32(1)))
    gelu = op("Mul", op("Mul", up, root), constant(np.float32(0.5)))
    ones, zeros = constant(np.ones(WIDTH, np.float32)), constant(np.zeros(WIDTH, np.float32))
    op("LayerNormalization", op("Add", x, linear(gelu)), ones, zeros, epsilon=1e-12, name="last_hidden_state")
    named = lambda name: helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", WIDTH])
    inputs = [named("input_ids"), named("attention_mask"), named("token_type_ids")]
    whole = helper.make_graph(nodes, "tiny", inputs, [out], constants)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def greedy():
    """Returns a model whose answer is of 1,342,177,280 numbers."""
    shape = numpy_helper.from_array(np.array([1, 2**15, 40 * 2**10], np.int64), "shape")
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["numbers"], ["sum"], keepdims=0),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "sum"], ["last_hidden_state"]),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
    out = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", "w"])
    whole = helper.make_graph(nodes, "greedy", [ids], [out], [shape])
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    pieces, rows = words()
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    onnx.save(graph(rows), str(folder / "tiny.onnx"))
    onnx.save(greedy(), str(folder / "greedy.onnx"))
    ids = {piece: at for at, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    session = ort.InferenceSession(str(folder / "tiny.onnx"))
    golden = []
    for text in TEXTS:
        row = np.array([tokenizer.encode(text).ids], np.int64)
        feed = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        (out,) = session.run(["last_hidden_state"], feed)
        vector = [round(float(part), 6) for part in out[0].mean(axis=0)]
        golden.append({"text": text, "ids": row[0].tolist(), "vector": vector})
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in golden)
    (folder / "golden.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
