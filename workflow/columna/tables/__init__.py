"""The delivered tables: declared once, written, checked and documented from that declaration."""
