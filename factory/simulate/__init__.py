"""The simulation: production's own verbs on a real Postgres, under a fake clock, with workers that only take time."""
