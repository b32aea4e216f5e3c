"""The button on a page: what it may do, how it is drawn, and where on a page it is."""
