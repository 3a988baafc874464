"""Networks: building, training, feature caching, scoring."""
