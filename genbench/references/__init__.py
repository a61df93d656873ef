"""Compare results with reference results: a suite's record, and which of its rows were reproduced.

files        read and write a record; a record from elsewhere is not trusted
pieces       a record to which each run adds rows
same         whether two numbers are the same: one test for the table's ties, `verify` and `merge`
verdicts     row by row: identical, reproduced, differs, undecided or absent
causes       what differs upstream: data, recipe, code, versions, processor, precision
"""
