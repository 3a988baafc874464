"""Labels that may be wrong: an audit that ranks them and estimates how many there are (`docs/labels.md`).

- `out_of_fold`: scores of patches by models that never saw their group.
- `wrong_shares`: share of wrong labels of each class, with an interval resampled by group.
- `quality`: how likely each label is right, after confident learning.
- `neighbours`, `copies`: patches that look alike, or are identical, and carry the other label.
- `audit`: all of it, on the features of a dataset.
- `dataset_audit`: the same for a dataset on disk; `audit_csv`, `commands`: the command `steel-training labels audit`.

- `answers`: what people say about labels, as append-only records; `corrections`: what they agree on; `corrected_version`: a dated
  version with it; `agreement`, `dataset_agreement`: how far label, model and reviewers agree.
- `review`: the page on which a person answers, here or in Airflow, and the exchange with Label Studio and CVAT.

What the audit finds is for a person to look at. Nothing here changes a label, a training, a threshold or a verdict.
"""
