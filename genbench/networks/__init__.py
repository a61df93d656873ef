"""Network architectures, one file each. Constructors take keyword-only arguments; suites name them by class."""
