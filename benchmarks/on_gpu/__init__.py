"""The measurements of `python -m benchmarks.gpu`, one file per phase."""
