"""What a provider must be, one module for each contract."""
