"""Validates a dataset against its contract with Great Expectations.

- `validate`: judges a profile by every rule.
- `rules`: the table of rules; critical ones block, warnings are reported.
- `frames`: the tables that the rules are applied to.
- `suite`: the rules as expectations, and the session of Great Expectations. Other modules do not import that package.
- `data_docs`: the Data Docs, for people.
"""
