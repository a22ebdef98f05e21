"""The doctor: what is wrong with a configuration and its plugins, or will be."""
