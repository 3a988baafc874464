"""`python -m steel_training`: what an Airflow task starts."""

import sys

from steel_training.cli import main

sys.exit(main())
