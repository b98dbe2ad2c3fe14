"""Benchmarks: `python -m bench.<name>`. Each measures us and a peer in one command and prints a verdict."""
