"""Papers that restore photographs."""
