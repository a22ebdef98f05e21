"""The contracts: classes of tests from which plugin authors derive their own, one module for each kind."""
