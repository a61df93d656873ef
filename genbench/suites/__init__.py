"""Suites: read, completed and checked before anything is trained.

keys         every key of a suite and of config.yaml, with its meaning
load         a suite's file, complete
families     what a family's class states of itself, read without an import of it
runs         what a suite makes, and where it lies
preflight    every entry built once, without data
evaluation   extractors, metrics and objects, checked
cost         parameters, FLOPs and memory of each
cost_table   what preflight found, written and shown
prefetch     what must be downloaded, downloaded
"""
