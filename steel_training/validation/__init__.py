"""Holds a dataset to its contract with Great Expectations.

- `validate`: judges a profile by every rule.
- `rules`: the table of rules; critical ones block, warnings are reported.
- `frames`: the tables that the rules are judged on.
- `suite`: the rules as expectations, and Great Expectations' own session. What only names its documents loads none of it.
- `data_docs`: the documents that a person reads.
"""
