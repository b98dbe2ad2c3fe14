"""The GPU floor: engines draw, the cache keeps pipelines by bytes, Gpu lets one picture be drawn at a time."""
