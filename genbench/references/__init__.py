"""Results beside reference results: a suite's record, and what of it was reproduced.

files        read and write a record; one from elsewhere is foreign input
pieces       a record of which each run adds rows
same         when two numbers are the same: one test for the table's ties, `verify` and `merge`
verdicts     row by row: identical, reproduced, differs, undecided or absent
causes       what differs upstream: data, recipe, code, versions, processor, precision
"""
