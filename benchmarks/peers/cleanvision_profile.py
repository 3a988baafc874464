"""CleanVision 0.3.7 with all its checks on a folder of images, on all cores; prints the seconds it took as JSON.

python cleanvision_profile.py FOLDER
"""

import contextlib
import json
import os
import sys
import time

from cleanvision import Imagelab

if __name__ == "__main__":
    started = time.monotonic()
    lab = Imagelab(data_path=sys.argv[1])
    with contextlib.redirect_stdout(sys.stderr):
        lab.find_issues(n_jobs=os.cpu_count(), verbose=False)
    print(
        json.dumps({"seconds": time.monotonic() - started, "images": len(lab.issues), "checks": len(lab.issue_summary)})
    )
