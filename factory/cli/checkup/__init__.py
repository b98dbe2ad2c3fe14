"""What `factory doctor` looks at, one file per part. A check returns what it saw, or raises Sick with the remedy."""
