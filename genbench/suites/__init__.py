"""Suites: read, completed and checked before anything is trained.

keys         every key of a suite and of config.yaml, with its meaning
language     every key of a suite of language models
read         a suite's file as it is written, with what it extends
load         the same, complete
series       one entry at several budgets
kinds        what checks a suite of another kind than images
families     what a family's class states of itself, read without an import of it
runs         what a suite makes, and where it lies
preflight    every entry checked, and what a suite will make and cost
entries      an entry built, run and sampled once, without data
checked      what checks have found, kept until something changes
evaluation   extractors, metrics and objects, checked
cost         parameters, FLOPs and memory of each
cost_table   what preflight found, written and shown
prefetch     what must be downloaded, downloaded
"""
