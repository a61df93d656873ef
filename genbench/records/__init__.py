"""The records that genbench writes: every key with its type and its meaning.

Records are separate from the code that writes them, because the report reads all of them but loads neither torch nor
models. The tables of docs/results.md are generated from here.

record         the base class of all records, and reading of a file
provenance     where a file comes from: a part of every record
plan           preflight.json: what a suite will make, and its cost
training       training.json: how a model was trained
timing         timing.json: how samples were drawn
speed          speed.json: how fast a model samples when nothing else runs
metrics        metrics.json: how good samples are
objects        objects/*.json: which of the requested objects the samples show
paired         paired.json: how far a quantised network's images are from the float32 network's
likelihood     likelihood.json: bits per dimension
reference      reference/{suite}.json: a suite's results, with which others compare theirs
"""
