"""Speed and memory, as ratios of two programs that run in turn: ``python -m benchmarks``."""
