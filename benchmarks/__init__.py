"""The speed of genbench compared with its peers, for docs/speed.md. Not part of the wheel."""
