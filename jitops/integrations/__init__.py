"""jitops inside other libraries; each module imports the public names of jitops only."""
