"""What happens to a picture on its way out: one step per file, run in order by the chain. Steps do no I/O."""
