"""Suites: read, completed and checked before anything is trained.

keys         every key of a suite and of config.yaml, with its meaning
load         a suite's file, complete
runs         what a suite makes, and where it lies
preflight    every entry built once, without data
cost         parameters, FLOPs and memory of each
cost_table   what preflight found, written and shown
prefetch     what must be downloaded, downloaded
"""
