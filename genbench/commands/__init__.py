"""Command lines, one file each: `parser` states the flags, `main` calls one function of the package.

scripts/ and the rules call these. Nothing heavy is imported before the command line is parsed and, for jobs that
compute, before they have their GPU.
"""
