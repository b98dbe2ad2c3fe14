"""What the factory is measured against: each file as its manual would have it, never slowed on purpose."""
