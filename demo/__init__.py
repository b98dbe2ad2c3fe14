"""The demo: its catalogue, the drawn shop, the checkpoint, and how that is trained."""
