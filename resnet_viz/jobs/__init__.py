"""Training runs that visitors start: one process that trains, and the registry of who started what."""
