"""Broken at import: it needs a package that does not exist."""

import a_package_that_nobody_has

print(a_package_that_nobody_has)
