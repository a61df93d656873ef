"""The records that genbench writes, each stated once: every key with its type and what it is.

They stand in a room of their own, not beside their writers, since the report reads them all and loads neither torch
nor models, which their writers need. docs/results.md is written from here.

record         what they have in common, and how a file is read
provenance     where a file comes from: a part of every record
plan           preflight.json: what a suite will make and what that costs
training       training.json: how a model came about
timing         timing.json: how samples were drawn
speed          speed.json: how fast a model samples, with nothing running beside it
metrics        metrics.json: how good samples are
objects        objects/*.json: which of the objects that were asked for samples show
paired         paired.json: how far a quantised network's images are from the float32 network's
likelihood     likelihood.json: bits per dimension
reference      reference/{suite}.json: a suite's results, for others to compare theirs with
"""
