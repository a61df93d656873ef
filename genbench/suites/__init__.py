"""Suites: read, completed and checked before anything is trained.

keys         every key of a suite and of config.yaml, with its meaning
language     every key of a suite of language models
read         read a suite's file, merged with the suite that it extends
load         complete it with defaults
series       one entry at several budgets
kinds        the checks of suites of other kinds than images
families     read attributes of a family's class without importing it
runs         the files that a suite makes
preflight    check every entry, and describe what a suite will make and cost
entries      build, run and sample an entry once, without data
checked      results of checks, kept until something changes
evaluation   check extractors, metrics and objects
cost         parameters, FLOPs and memory of each model
cost_table   write and show the findings of preflight
prefetch     download everything that suites need
"""
