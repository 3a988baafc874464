"""Finds patches that show one piece of steel, turned, shifted or re-exposed."""
