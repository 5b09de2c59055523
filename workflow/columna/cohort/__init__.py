"""Which scans there are, which files were left out and why, and which batch a scan belongs to.

Import from the modules: this package stays empty, because Snakefiles read `manifest` while they
are parsed and must not load pandas for that.
"""
