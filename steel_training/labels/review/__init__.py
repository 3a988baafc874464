"""A person answers what is on a patch: on the page of `steel-training labels review`, and on the same page in Airflow.

- `sheet`: the patches that may be reviewed, with what is shown beside them; `made_sheet` makes it from a dataset and its audit,
  `surroundings` finds the patches around a patch in its source image.
- `queue`: which patches, in which order: worst first, or blind.
- `own_answers`: what one reviewer has answered, kept up to date with the store.
- `review`: one reviewer's pass through a queue: what is sent to the page, and what it sends back.
- `pictures`: the image files of patches; `page`: the HTML page; `messages`: what it sends.
- `current`: whether the answers in a store are about the dataset as it is now.
- `opened`, `server`: the command: its dataset, audit file and local server.
- `handed_out`, `handed_in`: the same in Label Studio or CVAT.

Only `made_sheet`, `surroundings`, `opened`, `handed_out` and `handed_in` need NumPy and pandas: Airflow's API server has neither.
"""
