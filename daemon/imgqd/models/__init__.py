"""From a spec to two encoders: what makes models, keeps them and runs them.

Importing anything of this room keeps the libraries that run models from telling their makers about
it. They read these variables when they are first imported.
"""

import os

# onnxruntime from 1.29 on sends an account of every session that is opened (on Linux too), with
# hashes of the model, to its maker, and keeps a database of what is still to be sent.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
