"""Rate decks: all rates of a price list, or all buy rates of a gateway, as a CSV file. `reading`
parses a file, `comparison` says what it would change, and `importing` writes that, or undoes it.
`exporting` makes such a file from the stored rates.
"""
