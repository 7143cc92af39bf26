"""Long work that survives a restart: each piece of it ends in exactly one push."""
