"""The verbs, one per file. A verb takes the database first, opens its own transaction and rings nobody."""
