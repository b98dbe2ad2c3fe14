"""The nouns and the state machine. Tables live here; sessions and queries do not."""
