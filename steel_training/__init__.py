"""Retrain a steel surface defect detector, and publish it only when it does not miss defects."""
