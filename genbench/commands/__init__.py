"""Command lines, one file each: `parser` states the flags, `main` calls one function of the package.

scripts/ and the rules call these. Nothing heavy is imported before a command line is understood and, where a job
computes, before it has its GPU.
"""
