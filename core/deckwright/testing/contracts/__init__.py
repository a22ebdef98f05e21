"""The contracts, a module for each kind: classes of tests that plugin authors derive their own from."""
