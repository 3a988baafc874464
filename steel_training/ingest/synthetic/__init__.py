"""Procedural rolled-steel strips with defects and masks: a dataset that anyone can make, anywhere.

It is for trying the system, for demonstrations and for tests. Results on it do not carry over to a real mill.
"""

from steel_training.ingest.synthetic.sample import SampleInvalid, make_sample

__all__ = ["SampleInvalid", "make_sample"]
