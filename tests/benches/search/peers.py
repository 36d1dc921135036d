"""Two peers on the same notes and the same vectors: Chroma behind HTTP, LanceDB in process.

    python peers.py chroma|lance NOTES VECTORS QUERIES

NOTES is a folder of *.md; VECTORS holds 256 floats of 32 bits for each note, in the order of
their numbers; QUERIES is text, a query a line, with its vectors beside it in QUERIES.vectors.
Embedding is thus free for both. Prints rows of a table. What is written is what each does by
default, and neither is told to wait for the disk.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy

DIMENSIONS = 256
HITS = 10
BATCH = 1_000
CLIENTS = 8
TICKS = os.sysconf("SC_CLK_TCK")
# A part is a hundredth of the notes, as `#part/7` is for our node.
PARTS = 100
PART = 7


def notes(folder):
    """Yields the number and the text of each note, in their order."""
    paths = sorted(Path(folder).glob("*/*.md"), key=lambda path: int(path.stem))
    for path in paths:
        yield int(path.stem), path.read_text()


def batches(folder, vectors):
    numbers, texts = [], []
    for number, text in notes(folder):
        numbers.append(number)
        texts.append(text)
        if len(numbers) == BATCH:
            yield numbers, texts, vectors[numbers]
            numbers, texts = [], []
    if numbers:
        yield numbers, texts, vectors[numbers]


def cpu_of(process):
    """Returns the CPU seconds of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(process):
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1000
    return 0


def size(folder):
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def row(what, figure):
    print(f"| {what} | {figure} |", flush=True)


def ask(what, find, queries, cpu, clients=1):
    """Asks all queries, each once, by so many clients."""
    took, hits, lock = [], [0], threading.Lock()

    def client(part):
        for text, vector in part:
            begun = time.time()
            found = find(text, vector)
            with lock:
                took.append((time.time() - begun) * 1_000)
                hits[0] += found

    begun, spent = time.time(), cpu()
    threads = [threading.Thread(target=client, args=(queries[at::clients],)) for at in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, spent = time.time() - begun, (cpu() - spent) * 1_000 / len(queries)
    took.sort()
    half, most = took[len(took) // 2], took[len(took) * 99 // 100]
    row(what, f"{spent:.2f} ms CPU, p50 {half:.1f} ms, p99 {most:.1f} ms, "
              f"{len(queries) / wall:.0f} a second, {hits[0] / len(queries):.1f} hits")


def recall(what, find_ids, queries, vectors):
    """Tells how many of the ten nearest are found, of those an exact scan finds."""
    right = 0
    for text, vector in queries:
        exact = numpy.argpartition(-(vectors @ vector), HITS)[:HITS]
        right += len(set(exact.tolist()) & set(find_ids(text, vector)))
    row(what, f"{right / HITS / len(queries):.3f} of the ten nearest")


def chroma(folder, vectors, queries):
    import chromadb
    from chromadb.config import Settings

    home = tempfile.mkdtemp()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).parent / "chroma"

    def serve():
        server = subprocess.Popen(
            [program, "run", "--path", home, "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        settings = Settings(anonymized_telemetry=False)
        while True:
            try:
                client = chromadb.HttpClient("127.0.0.1", port, settings=settings)
                return server, client
            except ValueError:
                time.sleep(0.02)

    server, client = serve()
    try:
        kept = client.create_collection("notes", embedding_function=None, metadata={"hnsw:space": "cosine"})
        begun, spent = time.time(), cpu_of(server.pid)
        count = 0
        for numbers, texts, part in batches(folder, vectors):
            kept.add(ids=[str(number) for number in numbers], documents=texts, embeddings=part,
                     metadatas=[{"part": number % PARTS} for number in numbers])
            count += len(numbers)
        wall, spent = time.time() - begun, cpu_of(server.pid) - spent
        row("taking in", f"{wall:.1f} s wall, {count / spent:.0f} notes per CPU second of the server")
        row("memory after taking in", f"{memory_of(server.pid)} MB")

        def find(_text, vector, where=None):
            return kept.query(query_embeddings=[vector], n_results=HITS, where=where,
                              include=["documents", "distances"])["ids"][0]

        def cpu():
            return cpu_of(server.pid)

        third = len(queries) // 3
        ask("meaning, 1 client", lambda *asked: len(find(*asked)), queries[:third], cpu)
        ask("meaning in 1 %, 1 client", lambda *asked: len(find(*asked, {"part": PART})), queries[third:2 * third], cpu)
        ask("meaning, 8 clients", lambda *asked: len(find(*asked)), queries[2 * third:], cpu, CLIENTS)
        recall("recall", lambda *asked: [int(one) for one in find(*asked)], queries[:100], vectors)
        server.send_signal(signal.SIGTERM)
        server.wait()
        begun = time.time()
        server, client = serve()
        row("ready after a stop", f"{time.time() - begun:.2f} s")
        kept = client.get_collection("notes", embedding_function=None)
        begun = time.time()
        find(*queries[0])
        row("the first answer after it", f"{time.time() - begun:.2f} s")
        row("memory after a start and one search", f"{memory_of(server.pid)} MB")
        row("disk", f"{size(home) / 1e6:.0f} MB")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(home)


def lance(folder, vectors, queries):
    os.environ["LANCE_LOG"] = "error"
    import lancedb
    import pyarrow

    home = tempfile.mkdtemp()
    schema = pyarrow.schema([
        pyarrow.field("id", pyarrow.int64()), pyarrow.field("text", pyarrow.string()),
        pyarrow.field("part", pyarrow.int32()), pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), DIMENSIONS))])
    try:
        table = lancedb.connect(home).create_table("notes", schema=schema)
        begun, spent, count = time.time(), time.process_time(), 0
        for numbers, texts, part in batches(folder, vectors):
            flat = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(part.ravel()), DIMENSIONS)
            table.add(pyarrow.table([numbers, texts, [number % PARTS for number in numbers], flat], schema=schema))
            count += len(numbers)

        def told(what):
            wall, cpu = time.time() - begun, time.process_time() - spent
            row(what, f"{wall:.1f} s wall, {count / cpu:.0f} notes per CPU second")

        told("taking in, without any index")
        table.create_fts_index("text")
        told("the same, with the text index")
        fifth = len(queries) // 5
        part = iter(queries[at:at + fifth] for at in range(0, 5 * fifth, fifth))

        def near(text, vector):
            return table.search(vector).select(["id", "text"]).limit(HITS).to_list()

        def both(text, vector):
            found = table.search(query_type="hybrid").vector(vector).text(text)
            return found.select(["id", "text"]).limit(HITS).to_list()

        ask("hybrid without a graph (exact), 1 client", lambda *asked: len(both(*asked)), next(part)[:100], time.process_time)
        table.create_index(metric="dot", vector_column_name="vector")
        told("the same, with its default index of vectors")
        ask("hybrid, 1 client", lambda *asked: len(both(*asked)), next(part), time.process_time)
        ask("meaning, 1 client", lambda *asked: len(near(*asked)), next(part), time.process_time)

        def few(text, vector):
            found = table.search(query_type="hybrid").vector(vector).text(text).where(f"part = {PART}", prefilter=True)
            return found.select(["id", "text"]).limit(HITS).to_list()

        ask("hybrid in 1 %, 1 client", lambda *asked: len(few(*asked)), next(part), time.process_time)
        ask("hybrid, 8 clients", lambda *asked: len(both(*asked)), next(part), time.process_time, CLIENTS)
        recall("recall", lambda *asked: [one["id"] for one in near(*asked)], queries[:100], vectors)
        begun = time.time()
        table = lancedb.connect(home).open_table("notes")
        both(*queries[0])
        row("opened again, with the first answer", f"{time.time() - begun:.2f} s")
        row("disk", f"{size(home) / 1e6:.0f} MB; memory at most "
                    f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000} MB, with Python")
    finally:
        shutil.rmtree(home)


def main():
    peer, folder, vectors, asked = sys.argv[1:]
    vectors = numpy.fromfile(vectors, dtype="<f4").reshape(-1, DIMENSIONS)
    near = numpy.fromfile(asked + ".vectors", dtype="<f4").reshape(-1, DIMENSIONS)
    queries = list(zip(Path(asked).read_text().splitlines(), near))
    {"chroma": chroma, "lance": lance}[peer](folder, vectors, queries)


main()
