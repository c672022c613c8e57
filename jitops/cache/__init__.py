"""Compiled ops on disk: what identifies one (key), its file (artifact), the directory (store).

The files are the truth. The index (diskcache) holds statistics and may be deleted at any time; the
locks (filelock) save work, and correctness never depends on them.
"""
