"""Base classes and helpers for providers."""
