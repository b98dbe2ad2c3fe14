"""The HTTP door: one noun per file, the verbs do the work."""

from factory.api.app import create_app

__all__ = ["create_app"]
