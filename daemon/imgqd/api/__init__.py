"""The HTTP API under /v1/: who may ask, what may be asked, and how it is answered."""
