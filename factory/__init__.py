"""The content factory: a catalogue in, finished and audited pictures out."""

__version__ = "0.1.0"
