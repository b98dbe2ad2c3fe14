"""How the demo checkpoint is trained from nothing, stage by stage."""
