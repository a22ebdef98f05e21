"""The configuration: reading it, what its sections mean, its settings, its JSON Schema."""
