"""How fast genbench is beside its peers: docs/speed.md is made from what this measures. Not part of the wheel."""
