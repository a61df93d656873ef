"""Suites: read, completed and checked before anything is trained.

load         a suite's file, complete
preflight    every entry built once, without data
cost         parameters, FLOPs and memory of each
"""
