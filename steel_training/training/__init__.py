"""Networks: building, training, caching features, scoring."""
