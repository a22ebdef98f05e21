"""The contracts of providers, one module for each."""
