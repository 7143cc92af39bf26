"""Benchmarks: one module each, with `NAME` and `run() -> dict[str, float]`, every one alone in under 50 s.

`python -m tests.benchmarks NAME [--json]` runs one, `make bench` all of them. Peers run in the same process,
interleaved with ours, and the figure is a ratio of CPU times wherever the machine's speed would otherwise decide.
"""
