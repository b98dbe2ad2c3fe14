"""The card that the simulated engine draws."""
