"""Real servers out of wheels, run as guarded children: gone when we are, killed −9 or not."""
